"""`kp3d bench engine`: latency and throughput of every engine, beside the paper's networks."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.benchmark.baseline import begin, figures
from kp3d_core.benchmark.contenders import (
    TORCH,
    all_contenders,
    create_contender,
    create_torch,
)
from kp3d_core.benchmark.growth import object_rows
from kp3d_core.benchmark.machine import torch_threads
from kp3d_core.benchmark.networks import (
    PAPER_SIZE,
    model_of,
    multiplications,
    quantized,
    random_graph,
)
from kp3d_core.benchmark.timing import measure
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.memory import load_views
from kp3d_core.evaluation.predictions import over_black
from kp3d_core.inference import Engine, Model, engine_names, load_model
from kp3d_core.inference.engines import EngineOptions
from kp3d_core.inference.model import PRECISIONS

_CALIBRATION_OBJECTS = 4
_CALIBRATION_VIEWS = 4
_LARGE_BATCH = 16


@dataclass(frozen=True)
class EngineBenchSettings:
    """What to measure."""

    model: str = "car"
    """Model file that a robot runs, a `fast` network; called `fast` in the results."""
    engines: tuple[str, ...] = engine_names()
    """Some of `all_contenders()`; those that the machine lacks are listed as missing."""
    precisions: tuple[str, ...] = PRECISIONS
    batches: tuple[int, ...] = (1, 4, 16)
    """Must contain 1 and 16, which ratios are made of."""
    threads: int = 2
    """CPU threads of everything that is measured."""
    pin_threads: bool = False
    seconds: float = 2.0
    """Of each measurement."""
    growth: bool = True
    """Measure how time grows with the number of objects."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = []
        if not {1, _LARGE_BATCH} <= set(self.batches):
            problems.append(f"batches must contain 1 and {_LARGE_BATCH}, got {self.batches}.")
        for what, known, given in (
            ("engines", all_contenders(), self.engines),
            ("precisions", PRECISIONS, self.precisions),
        ):
            if not given or set(given) - set(known):
                problems.append(f"{what} must be some of {', '.join(known)}, got {given}.")
        if "onnxruntime" not in self.engines or "fp32" not in self.precisions:
            problems.append("onnxruntime and fp32 must be among them, for the ratios.")
        if self.threads < 1 or not self.seconds > 0:
            problems.append(
                f"threads and seconds must be positive, got {self.threads} and {self.seconds}."
            )
        if problems:
            raise ValueError("Benchmark settings are wrong: " + " ".join(problems))


@dataclass(frozen=True)
class _Network:
    """One network in each precision."""

    name: str
    architecture: str
    """`fast` or `paper`, for `create_torch`."""
    mirror: bool
    in_precision: dict[str, Model]
    batches: tuple[int, ...]

    @property
    def fp32(self) -> Model:
        return self.in_precision["fp32"]


def bench_engines(
    settings: EngineBenchSettings, on_progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Measure everything; the content of the JSON file.

    Raises:
        ValueError: the model cannot be used.
    """
    result = begin(
        "engine",
        settings,
        threads=settings.threads,
        seconds=settings.seconds,
        on_progress=on_progress,
    )
    result |= {"missing": {}, "rows": []}
    on_progress("preparing networks")
    networks = list(_networks(settings))
    for engine_name in settings.engines:
        for network in networks:
            for precision in settings.precisions:
                label = f"{network.name} in {precision} on {engine_name}"
                on_progress(label)
                try:
                    engine = _engine(network, engine_name, precision, settings)
                except ValueError as error:
                    result["missing"][label] = str(error)
                    continue
                with torch_threads(settings.threads):
                    result["rows"] += list(_rows(network, engine_name, engine, settings))
    if settings.growth:
        on_progress("how time grows with objects")
        result["objects"] = list(_growth(networks[0], settings, result["missing"]))
    result["ratios"] = ratios(result)
    return result


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """Figures that hold on any machine; those whose parts were not measured are absent."""
    rows = result["rows"]

    def best(network: str, batch: int, **wanted: str) -> dict[str, Any] | None:
        fitting = [
            row
            for row in rows
            if (row["network"], row["batch"]) == (network, batch)
            and row["device"].startswith("cpu")
            and all(row[key] == value for key, value in wanted.items())
        ]
        return min(fitting, key=lambda row: row["p50_ms"], default=None)

    baseline = result["baseline"]["p50_ms"]
    found = {}
    for key, row in (
        ("fast_best_speedup", fast := best("fast", 1)),
        ("fast_onnxruntime_speedup", best("fast", 1, engine="onnxruntime")),
        ("paper_best_speedup", best("paper", 1)),
    ):
        if row is not None:
            found[key] = baseline / row["p50_ms"]
    if fast is not None:
        same = {key: fast[key] for key in ("engine", "precision")}
        large = best("fast", _LARGE_BATCH, **same)
        if large is not None:
            found["batch16_over_batch1"] = large["p50_ms"] / fast["p50_ms"]
    return found


def _networks(settings: EngineBenchSettings) -> Iterator[_Network]:
    """The model itself, its network at the paper's input size, and the paper's networks."""
    model = load_model(settings.model)
    images = _calibration_images(model.category, max(model.input_size, PAPER_SIZE))
    yield _in_precisions("fast", "fast", True, model, images, settings.batches)
    for name, network, mirror, batches in (
        ("fast_128", "fast", True, (1,)),
        ("paper", "paper", False, (1,)),
    ):
        random = model_of(random_graph(network, PAPER_SIZE, mirror), name)
        yield _in_precisions(name, network, mirror, random, images, batches)


def _in_precisions(
    name: str,
    architecture: str,
    mirror: bool,
    model: Model,
    images: NDArray[np.uint8],
    batches: Sequence[int],
) -> _Network:
    import cv2

    size = (model.input_size, model.input_size)
    small = [
        np.stack([np.asarray(cv2.resize(i, size, interpolation=cv2.INTER_AREA)) for i in views])
        for views in images
    ]
    int8 = model if model.precision == "int8" else model.int8 or quantized(model, small)
    precisions = {"fp32": model, "fp16": model, "int8": int8}
    return _Network(name, architecture, mirror, precisions, tuple(batches))


def _calibration_images(category: str, size: int) -> NDArray[np.uint8]:
    """Views of a few objects, (I, V, S, S, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        generate(
            GenerateSettings(
                category, "val", _CALIBRATION_OBJECTS, views=_CALIBRATION_VIEWS, image_size=size
            ),
            folder,
        )
        views = load_views(folder, size)
    return np.stack([over_black(views, index) for index in range(len(views.rgba))])


def _engine(network: _Network, name: str, precision: str, settings: EngineBenchSettings) -> Engine:
    options = EngineOptions(
        threads=settings.threads,
        pin_threads=settings.pin_threads,
        precision=precision,
        batches=settings.batches,
    )
    if name == TORCH:
        size = network.fp32.input_size
        return create_torch(network.architecture, size, network.mirror, options)
    return create_contender(name, network.in_precision[precision], options)


def _growth(
    fast: _Network, settings: EngineBenchSettings, missing: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Rows over numbers of objects in the default precision, per engine."""
    options = EngineOptions(threads=settings.threads, pin_threads=settings.pin_threads)
    for name in settings.engines:
        if name != TORCH and not any(label.endswith(f"in fp32 on {name}") for label in missing):
            engine = create_contender(name, fast.fp32, options)
            yield from object_rows(fast.fp32, engine, settings.seconds / 2)


def _rows(
    network: _Network, engine_name: str, engine: Engine, settings: EngineBenchSettings
) -> Iterator[dict[str, Any]]:
    size = network.fp32.input_size
    rng = np.random.default_rng(0)
    gflop = 2e-9 * multiplications(network.fp32.data)
    for batch in network.batches:
        images = rng.integers(0, 256, (batch, size, size, 3), np.uint8)
        latency = measure(functools.partial(engine.run, images), settings.seconds)
        yield {
            "network": network.name,
            "input_size": size,
            "engine": engine_name,
            "name": engine.name,
            "device": engine.device,
            "precision": engine.precision,
            "batch": batch,
            **figures(latency, batch, gflop),
        }
