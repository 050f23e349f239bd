"""What lets one formula serve numpy arrays and torch tensors (the Python array API standard)."""

from __future__ import annotations

from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy
import numpy as np

Array: TypeAlias = Any
"""A numpy array or a torch tensor; functions return the kind they were given."""


def namespace(*arrays: Array) -> Any:
    """Array API namespace that all `arrays` share; mixing numpy and torch raises `TypeError`."""
    if all(type(array) is np.ndarray for array in arrays):  # asked thirty times per image
        return array_api_compat.numpy
    return array_api_compat.array_namespace(*arrays)


def stop_gradient(array: Array) -> Array:
    """The same values, cut from the autograd graph where there is one."""
    return array.detach() if is_differentiable(array) else array


def is_differentiable(array: Array) -> bool:
    """Whether an array may be part of an autograd graph."""
    return hasattr(array, "detach")


def constant(values: Any, like: Array) -> Array:
    """`values` as an array of the kind, precision and device of `like`."""
    if type(like) is np.ndarray:
        return np.array(values, like.dtype)
    return namespace(like).asarray(values, dtype=like.dtype, device=array_api_compat.device(like))


def matvec(matrix: Array, vector: Array) -> Array:
    """Product of (..., M, N) matrices with (..., N) vectors."""
    return (matrix @ vector[..., None])[..., 0]


def transpose(matrix: Array) -> Array:
    """Swap the last two axes."""
    return namespace(matrix).matrix_transpose(matrix)
