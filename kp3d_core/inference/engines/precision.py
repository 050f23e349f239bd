"""The precision that a model runs in, and its graph in it.

A graph is the file's own, that of the int8 file beside it, or converted, where that needs no data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from kp3d_core.inference.engines.cpu import has_int8_kernels
from kp3d_core.inference.model import PRECISIONS, Model

MAX_LOSS_DEG = 0.1
"""What int8 may add to the median error of the relative rotation, to be taken on its own [deg]."""


def in_precision(model: Model, wanted: str | None, on_cpu: bool) -> tuple[Model, str]:
    """The model whose file an engine has to run, and in which precision.

    "auto" is the fastest that is known to lose less than `MAX_LOSS_DEG`: int8 on processors that
    are faster with it, if the figures that `kp3d package` wrote into both files say so; else the
    file's own.

    Args:
        model: from `load_model`.
        wanted: one of `PRECISIONS`, "auto", or None for the file's own.
        on_cpu: whether the engine runs on the CPU.

    Raises:
        ValueError: `wanted` is unknown or cannot be had.
    """
    if wanted == "auto":
        pays = on_cpu and int8_loss_deg(model) < MAX_LOSS_DEG and has_int8_kernels()
        wanted = "int8" if pays else None
    if wanted == "int8" and model.int8 is not None:
        model = model.int8
    return model, precision_of(model, wanted)


def int8_loss_deg(model: Model) -> float:
    """What int8 adds to the median error; infinite if that was not measured on the same views."""
    if model.int8 is None:
        return math.inf
    own, other = model.metrics, model.int8.metrics
    try:
        same = all(own["data"][key] == other["data"][key] for key in ("first", "last"))
        if not same or own["pairs"] != other["pairs"]:
            return math.inf
        return float(other["rotation_deg"]["median"] - own["rotation_deg"]["median"])
    except (KeyError, TypeError):
        return math.inf


def precision_of(model: Model, wanted: str | None) -> str:
    """Precision that a model runs in; `ValueError` if `wanted` is unknown or cannot be had.

    Args:
        model: whose file has a precision of its own.
        wanted: one of `PRECISIONS`; the file's own if None.
    """
    if wanted is None or wanted == model.precision:
        return model.precision
    if wanted not in PRECISIONS:
        raise ValueError(
            f"precision must be auto or one of {', '.join(PRECISIONS)}, got {wanted!r}. "
            "Check the name."
        )
    if wanted == "int8":
        raise ValueError(
            f"precision int8 needs a calibrated file beside the model's, got {model.name} in "
            f"{model.precision} alone. Make one: kp3d package"
        )
    if model.precision != "fp32":
        raise ValueError(
            f"precision {wanted} must be made of a model file in fp32, got {model.name} in "
            f"{model.precision}. Use the file that `kp3d package` wrote."
        )
    return wanted


def graph_in(model: Model, wanted: str | None) -> bytes:
    """ONNX bytes of a model in a precision; arguments and errors of `precision_of`."""
    if precision_of(model, wanted) == model.precision:
        return model.data
    with _needs_onnx(model, "fp16"):
        from kp3d_core.inference.engines.half import half_graph
    return half_graph(model.data)


def tensorrt_graph(model: Model, wanted: str | None) -> bytes:
    """The same in the form that TensorRT takes: images cast first, int8 signed and symmetric."""
    precision = precision_of(model, wanted)
    with _needs_onnx(model, "TensorRT's form"):
        from kp3d_core.inference.engines.cast_first import cast_images_first
        from kp3d_core.inference.engines.signed import signed_graph
    int8 = precision == "int8"
    return cast_images_first(signed_graph(model.data) if int8 else graph_in(model, wanted))


@contextmanager
def _needs_onnx(model: Model, precision: str) -> Iterator[None]:
    """Of all that runs on a robot, these conversions alone need the `onnx` package."""
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"{model.name} must be converted to {precision} with the package onnx, got: {error}. "
            "Install it: pip install onnx"
        ) from error
