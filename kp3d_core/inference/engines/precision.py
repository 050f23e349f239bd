"""The graph of a model in a precision: the file's own, or converted where that needs no data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kp3d_core.inference.model import PRECISIONS, Model


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
            f"precision must be one of {', '.join(PRECISIONS)}, got {wanted!r}. Check the name."
        )
    if wanted == "int8":
        raise ValueError(
            f"precision int8 needs a calibrated model file, got {model.name} in "
            f"{model.precision}. Make one: kp3d quantize {model.name} RENDERED_FOLDER -o int8.onnx"
        )
    if model.precision != "fp32":
        raise ValueError(
            f"precision {wanted} must be made of a model file in fp32, got {model.name} in "
            f"{model.precision}. Use the file that `kp3d export` wrote."
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
    """The same in the form that TensorRT takes, which differs for int8."""
    if precision_of(model, wanted) != "int8":
        return graph_in(model, wanted)
    with _needs_onnx(model, "int8"):
        from kp3d_core.inference.engines.signed import signed_graph
    return signed_graph(model.data)


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
