"""Small matrices that OpenCV takes apart are those that LAPACK gives; products serve both kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kp3d_core.geometry.arrays import cross, det, inv, svd


def matrices(rng: np.random.Generator) -> list[np.ndarray]:
    full = [rng.normal(size=(3, 3)) * 10.0 ** rng.integers(-6, 6) for _ in range(50)]
    flat = [np.outer(rng.normal(size=3), rng.normal(size=3)) for _ in range(5)]
    return [*full, *flat, np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, -1.0])]


def test_svd_of_one_matrix() -> None:
    for matrix in matrices(np.random.default_rng(0)):
        U, s, Vh = svd(matrix)

        np.testing.assert_allclose(U @ np.diag(s) @ Vh, matrix, atol=1e-14 * (1 + s[0]))
        for rotation in (U, Vh):  # of matrices without full rank, too
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-13)
        expected = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(s, expected, rtol=1e-12, atol=1e-14 * (1 + s[0]))


def test_det_of_one_matrix() -> None:
    for matrix in matrices(np.random.default_rng(1)):
        scale = np.abs(matrix).max() ** 3
        assert float(det(matrix)) == pytest.approx(np.linalg.det(matrix), abs=1e-14 * (scale + 1))


def test_inverse_of_one_matrix() -> None:
    """Intrinsics, of any focal length and skew."""
    rng = np.random.default_rng(4)
    for focal in 10.0 ** rng.uniform(0, 4, 50):
        K = np.array([[focal, 0.01 * focal, 320.3], [0, 0.9 * focal, 240.7], [0, 0, 1]])
        np.testing.assert_allclose(inv(K), np.linalg.inv(K), rtol=1e-13, atol=1e-16)
    batch = np.stack([K, 2 * K])
    np.testing.assert_allclose(inv(batch), np.linalg.inv(batch))
    np.testing.assert_allclose(inv(torch.from_numpy(batch)).numpy(), np.linalg.inv(batch))


def test_many_matrices_are_taken_apart_at_once() -> None:
    batch = np.random.default_rng(2).normal(size=(4, 3, 3))
    tensors = torch.from_numpy(batch)

    for array, kind in ((batch, np.ndarray), (tensors, torch.Tensor)):
        U, s, Vh = svd(array)
        assert isinstance(U, kind)
        np.testing.assert_allclose(np.asarray(U * s[:, None, :] @ Vh), batch, atol=1e-12)
        np.testing.assert_allclose(np.asarray(det(array)), np.linalg.det(batch), atol=1e-12)


def test_cross() -> None:
    rng = np.random.default_rng(3)
    for shape in ((3,), (5, 3)):
        a, b = rng.normal(size=shape), rng.normal(size=shape)
        assert (cross(a, b) == np.cross(a, b)).all()
        assert (cross(torch.from_numpy(a), torch.from_numpy(b)).numpy() == np.cross(a, b)).all()
