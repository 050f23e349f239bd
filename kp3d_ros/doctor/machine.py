"""What the machine has without ROS: processor, packages, engines, model files."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata

from kp3d_core.inference import load_model, shipped_models
from kp3d_core.inference.engines import (
    REFERENCE_ENGINE,
    engine_devices,
    engine_names,
    why_unavailable,
)
from kp3d_core.inference.engines.cpu import cpu_info, has_int8_kernels
from kp3d_ros.doctor.finding import Finding, note, ok, problem

_PACKAGES = ("kp3d", "numpy", "onnxruntime", "opencv-python-headless")


def machine() -> Iterator[Finding]:
    """Processor, Python and the packages that the node stands on."""
    yield ok("Python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    cores = len(os.sched_getaffinity(0))
    kind = cpu_info("model name") or platform.machine()
    yield ok(
        "processor",
        f"{kind}, {cores} cores to use; 'precision: auto' may be int8: "
        f"{'yes' if has_int8_kernels() else 'no'}",
    )
    versions = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    yield ok("packages", ", ".join(versions))


def engines() -> Iterator[Finding]:
    """Each inference engine on each device that it can have, and which one 'auto' takes."""
    usable = []
    for name in engine_names():
        for number, device in enumerate(engine_devices(name)):
            what, reason = f"{name} on {device}", why_unavailable(name, device)
            if reason:
                is_needed = name == REFERENCE_ENGINE and number == 0
                yield (problem if is_needed else note)(what, reason)
                continue
            yield ok(what, "can be used")
            if number == 0:
                usable.append(name)
    if usable:
        yield ok("'engine: auto'", f"takes {usable[0]}")


def models(paths: Iterable[str]) -> Iterator[Finding]:
    """The shipped model files and those of the user: whole and usable, or why not.

    Args:
        paths: names or files besides the shipped ones.
    """
    for name in dict.fromkeys([*shipped_models(), *paths]):
        try:
            model = load_model(name)
        except ValueError as error:
            yield problem(name, str(error))
            continue
        also = " and int8" if model.int8 else ""
        yield ok(
            name,
            f"version {model.version}, category {model.category}, {model.keypoints.count} "
            f"keypoints, {model.input_size} px, {model.precision}{also}",
        )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
