"""Steps of training that fit into a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kp3d_core.files import write_text
from kp3d_core.recipe import estimates
from kp3d_core.recipe.settings import PhaseSettings, Recipe


def in_time(
    recipe: Recipe,
    kept: Path,
    seconds_a_step: Callable[[PhaseSettings], float],
    left_s: float,
    time_s: float,
    say: Callable[[str], None],
) -> Recipe:
    """The recipe with the steps that fit.

    Each training's time is measured on a few of its steps; the steps of all are scaled alike.
    Decided once: a run that goes on keeps them, unless time or recipe have changed.

    Args:
        recipe: with the steps that are wanted at most.
        kept: file of what was decided.
        seconds_a_step: measures a phase.
        left_s: for training and what follows [s].
        time_s: that was given for everything [s].
        say: told what begins and what is decided.

    Raises:
        ValueError: nothing is left for training.
    """
    finetune = recipe.finetune
    wanted = [phase.steps for phase in recipe.train]
    wanted += [] if finetune is None else [finetune.steps]
    asked = {"time_s": time_s, "wanted": wanted}
    decided = json.loads(kept.read_text()) if kept.is_file() else {}
    if {name: decided.get(name) for name in asked} != asked:
        say("time: measures the speed of training")
        speed = [seconds_a_step(phase) for phase in recipe.train]
        if finetune is not None:
            speed.append(estimates.FINETUNE_SHARE * speed[-1])
        slowness = max(1.0, speed[0] / estimated_seconds_a_step(recipe))
        fixed = slowness * estimates.apart_from_steps(recipe)
        needed = sum(s * n for s, n in zip(speed, wanted, strict=True))
        share = (left_s - fixed) / needed
        if share <= 0:
            raise ValueError(
                f"--time leaves {left_s:.0f} s for training and what follows, which alone takes "
                f"about {fixed:.0f} s here. Give more time, or render less."
            )
        steps = [max(1, int(min(share, 1.0) * n)) for n in wanted]
        decided = asked | {"steps": steps, "seconds_a_step": speed}
        write_text(kept, json.dumps(decided))
        say(f"time: steps of training {', '.join(map(str, steps))}")
    steps = decided["steps"]
    train = tuple(
        replace(phase, steps=count) for phase, count in zip(recipe.train, steps, strict=False)
    )
    if finetune is not None:
        finetune = replace(finetune, steps=steps[-1])
    return replace(recipe, train=train, finetune=finetune)


def estimated_seconds_a_step(recipe: Recipe) -> float:
    """Of the first training, on the machine that the estimates are of."""
    phase = recipe.train[0]
    return estimates.training(phase, recipe)["seconds"] / phase.steps
