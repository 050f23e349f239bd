"""What lets one formula serve numpy arrays and torch tensors (the Python array API standard)."""

from __future__ import annotations

from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy
import cv2
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


def cross(a: Array, b: Array) -> Array:
    """Cross product along the last axis; `numpy.cross` takes ten times as long for one pair."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    products = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return namespace(a, b).stack(products, axis=-1)


def svd(matrix: Array) -> tuple[Array, Array, Array]:
    """Singular value decomposition U, s, V^T of square matrices, largest values first.

    OpenCV decomposes a single small numpy matrix: after a pause, when a camera image has come,
    LAPACK's first call takes 0.14 ms, as long as all of a pose fit should.
    """
    if _is_single(matrix):
        s, U, Vh = cv2.SVDecomp(matrix)
        return U, s[:, 0], Vh
    U, s, Vh = namespace(matrix).linalg.svd(matrix, full_matrices=False)
    return U, s, Vh


def det(matrix: Array) -> Array:
    """Determinant of square matrices; of a single small numpy matrix by OpenCV, see `svd`."""
    if _is_single(matrix):
        return np.asarray(cv2.determinant(matrix))
    return namespace(matrix).linalg.det(matrix)


def inv(matrix: Array) -> Array:
    """Inverse of square matrices; of a single small numpy matrix by OpenCV, see `svd`."""
    if _is_single(matrix):
        return np.asarray(cv2.invert(matrix)[1])
    return namespace(matrix).linalg.inv(matrix)


def _is_single(matrix: Array) -> bool:
    return type(matrix) is np.ndarray and matrix.ndim == 2 and matrix.dtype == np.float64
