"""`kp3d bench render`: images per second of the renderer, by category, size and processes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kp3d_core.benchmark.baseline import begin
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.lights import LIGHTS
from kp3d_core.data.procedural import CATEGORIES
from kp3d_core.inference.engines.base import available_cores


@dataclass(frozen=True)
class RenderBenchSettings:
    """What to measure."""

    categories: tuple[str, ...] = tuple(CATEGORIES)
    sizes: tuple[int, ...] = (64, 128, 256)
    """Sides of the images [px]."""
    jobs: tuple[int, ...] = (1, len(available_cores()))
    """Numbers of processes, each with one thread."""
    views: int = 24
    """Of each object, as for training."""
    seconds: float = 3.0
    """Least length of each measurement."""
    light: str = "overhead"
    """One of `LIGHTS`."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = []
        if not self.categories or set(self.categories) - set(CATEGORIES):
            problems.append(
                f"categories must be some of {', '.join(CATEGORIES)}, got {self.categories}."
            )
        for name in ("sizes", "jobs"):
            values = getattr(self, name)
            if not values or min(values) < 1:
                problems.append(f"{name} must be positive numbers, got {values}.")
        if self.views < 1 or not self.seconds > 0:
            problems.append(
                f"views and seconds must be positive, got {self.views} and {self.seconds:g}."
            )
        if self.light not in LIGHTS:
            problems.append(f"light must be one of {', '.join(LIGHTS)}, got {self.light!r}.")
        if problems:
            raise ValueError("Benchmark settings are wrong: " + " ".join(problems))


def bench_render(
    settings: RenderBenchSettings, on_progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Measure everything; the content of the JSON file."""
    result = begin(
        "render", settings, threads=max(settings.jobs), seconds=1.0, on_progress=on_progress
    )
    result["rows"] = []
    for jobs in sorted(set(settings.jobs)):
        for category in settings.categories:
            for size in settings.sizes:
                on_progress(f"{category}, {size} px, {jobs} at a time")
                result["rows"].append(_measure(settings, category, size, jobs))
    return result


def _measure(settings: RenderBenchSettings, category: str, size: int, jobs: int) -> dict[str, Any]:
    """Whole data sets, shapes and files included, until they have taken long enough."""
    wanted = GenerateSettings(
        category, "val", jobs, views=settings.views, image_size=size, light=settings.light
    )
    _seconds(replace(wanted, views=1), jobs)  # starts the processes and compiles
    instances = jobs
    while True:
        wanted = replace(wanted, instances=instances)
        seconds = _seconds(wanted, jobs)
        if seconds >= settings.seconds:
            break
        more = min(1.2 * settings.seconds / seconds, 20.0)
        instances = max(instances + jobs, jobs * round(instances * more / jobs))
    images = instances * settings.views
    return {
        "category": category,
        "image_size": size,
        "jobs": jobs,
        "images": images,
        "seconds": seconds,
        "images_per_s": images / seconds,
    }


def _seconds(settings: GenerateSettings, jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        generate(settings, Path(folder) / "set", jobs=jobs)
        return time.perf_counter() - start
