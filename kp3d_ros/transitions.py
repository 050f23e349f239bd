"""Transitions of a lifecycle node."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]
"""Method of a node."""


def bugs_are_logged(transition: Transition) -> Transition:
    """Log what a transition raises: rclpy takes it for a failure and says nothing."""

    @functools.wraps(transition)
    def logged(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            node.get_logger().error(
                f"{transition.__name__} failed, by a bug:\n{traceback.format_exc()}"
            )
            raise

    return logged
