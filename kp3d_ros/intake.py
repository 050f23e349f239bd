"""Messages taken in the thread that works on them, without the detour through an executor.

An executor takes a message, wakes the thread that is to work on it, and then holds Python's lock
while it gathers everything that it waits for: about as long as an image takes to arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.subscription import Subscription

_AT_ONCE = 100
"""Most messages of one subscription that are taken before the others have their turn."""

Take = Callable[[Any], Any]
"""Takes the next message out of the handle of a subscription; None if there is none."""


class _NotForExecutors(ReentrantCallbackGroup):
    """Leaves subscriptions to whoever takes from them; executors keep what else belongs to them."""

    def can_execute(self, entity: Any) -> Any:
        return not isinstance(entity, Subscription)


class Intake:
    """Waits for the messages of some subscriptions and calls their callbacks.

    One thread takes; any may call `watch`, `wake` and `close`.
    """

    def __init__(self, context: Context) -> None:
        """Start without subscriptions.

        Args:
            context: that the subscriptions belong to.
        """
        self.group: CallbackGroup = _NotForExecutors()
        """To create the subscriptions with: keeps executors away from them."""
        self._context = context
        self._guard = GuardCondition(None, None, context=context)
        context.on_shutdown(self.wake)
        self._lock = Lock()
        self._watched: tuple[Any, ...] = ()
        self._takes: dict[Any, Take] = {}
        self._wait_set: tuple[int, Any] = (-1, None)
        """For how many subscriptions, and itself."""

    def watch(self, subscriptions: Sequence[Any], takes: Mapping[Any, Take] | None = None) -> None:
        """Take from these from now on, and from no others.

        Of messages that have come on several, those of the first ones are taken first.

        Args:
            subscriptions: of rclpy.
            takes: what takes the messages of some of them; rclpy does the others'.
        """
        with self._lock:
            self._watched, self._takes = tuple(subscriptions), dict(takes or {})
        self.wake()

    def wake(self) -> None:
        """Make `take` return."""
        with suppress(InvalidHandle):  # closed already: nobody takes
            self._guard.trigger()

    def take(self, timeout_s: float | None) -> bool:
        """Wait for messages and hand all that have come to their callbacks.

        Returns at the latest after a time [s], None: never; and when `wake` is called.

        Returns:
            False once the context is shut down: nothing will come any more.
        """
        with self._lock:
            watched, takes = self._watched, self._takes
        held = [subscription for subscription in watched if _hold(subscription.handle)]
        try:
            if not self._wait(held, timeout_s):
                return False
            for subscription in held:
                take = takes.get(subscription) or _take_by_rclpy(subscription)
                for _ in range(_AT_ONCE):
                    message = take(subscription.handle)
                    if message is None:
                        break
                    subscription.callback(message)
        finally:
            for subscription in held:
                subscription.handle.__exit__(None, None, None)
        return True

    def wait_for(self, condition: Callable[[], Any], timeout_s: float) -> Any:
        """Take messages until a condition holds, at most for a time [s]; what it returned last."""
        end = time.monotonic() + timeout_s
        while not (result := condition()) and (left_s := end - time.monotonic()) > 0:
            if not self.take(left_s):
                break
        return result

    def close(self) -> None:
        """Watch nothing any more; nobody may be taking."""
        self._watched, self._takes = (), {}
        self._wait_set = (-1, None)
        self._guard.destroy()

    def _wait(self, held: list[Any], timeout_s: float | None) -> bool:
        context = self._context.handle
        if context is None or not self._context.ok():
            return False
        with context, self._guard.handle:
            count, wait_set = self._wait_set
            if count != len(held):
                wait_set = _rclpy.WaitSet(len(held), 1, 0, 0, 0, 0, context)
                self._wait_set = (len(held), wait_set)
            wait_set.clear_entities()
            for subscription in held:
                wait_set.add_subscription(subscription.handle)
            wait_set.add_guard_condition(self._guard.handle)
            wait_set.wait(-1 if timeout_s is None else int(timeout_s * 1e9))
        return bool(self._context.ok())


def _take_by_rclpy(subscription: Any) -> Take:
    def take(handle: Any) -> Any:
        taken = handle.take_message(subscription.msg_type, subscription.raw)
        return None if taken is None else taken[0]

    return take


def _hold(handle: Any) -> bool:
    """Keep a subscription from being destroyed; False if it has been."""
    try:
        handle.__enter__()
    except InvalidHandle:
        return False
    return True
