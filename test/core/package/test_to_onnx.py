"""The graph that is exported, and what is said of its keypoints."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kp3d_core.models import create_model
from kp3d_core.models.graph import OUTPUT_NAMES, DetectorGraph
from kp3d_core.package.canonical import neighbour_edges
from kp3d_core.training.checkpoint import load_checkpoint


def test_graph_of_the_paper_network_decodes_in_pixels():
    torch.manual_seed(0)
    graph = DetectorGraph(create_model("paper", 5).eval(), 32, 30.0).eval()
    with torch.no_grad():
        outputs = dict(
            zip(OUTPUT_NAMES, graph(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)), strict=True)
        )
    assert outputs["keypoints_uv"].shape == (2, 5, 2)
    assert outputs["covariance"].shape == (2, 5, 3, 3)
    assert ((outputs["keypoints_uv"] >= 0) & (outputs["keypoints_uv"] <= 31)).all()
    assert (outputs["scale"] == 1).all()
    assert (outputs["orientation_score"] >= 0.5).all()
    eigenvalues = torch.linalg.eigvalsh(outputs["covariance"])
    assert (eigenvalues > -1e-3).all()


def test_mirrored_images_get_mirrored_answers():
    # Averaging with the mirror image makes the decision exactly antisymmetric, and a keypoint of
    # one image is the twin of the other's.
    torch.manual_seed(0)
    graph = DetectorGraph(create_model("fast").eval(), 64, 30.0, mirror=True).eval()
    image = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        outputs = dict(zip(OUTPUT_NAMES, graph(image), strict=True))
        mirrored = dict(zip(OUTPUT_NAMES, graph(image.flip(2)), strict=True))
    expected = torch.tensor([63.0, 0.0]) + torch.tensor([-1.0, 1.0]) * outputs["orientation_uv"]
    assert torch.allclose(mirrored["orientation_uv"], expected, atol=1e-4)
    assert torch.allclose(mirrored["scale"], outputs["scale"], atol=1e-5)
    for name, tolerance in (("keypoints_depth", 1e-5), ("score", 1e-5)):
        twins_first = mirrored[name].roll(10, dims=1)
        assert torch.allclose(twins_first, outputs[name], atol=tolerance)
    expected = torch.tensor([63.0, 0.0]) + torch.tensor([-1.0, 1.0]) * outputs["keypoints_uv"]
    assert torch.allclose(mirrored["keypoints_uv"].roll(10, dims=1), expected, atol=1e-3)
    reflection = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    expected = reflection @ outputs["covariance"] @ reflection
    assert torch.allclose(mirrored["covariance"].roll(10, dims=1), expected, atol=1e-2)


def test_checkpoint_restores_the_network(trained_run):
    trained = load_checkpoint(trained_run / "checkpoints" / "last.ckpt")
    assert trained.data["input_size"] == 64
    assert trained.settings["network"] == "fast"
    assert not trained.model.training
    with pytest.raises(ValueError, match="CHECKPOINT must be a file .* got nowhere.ckpt"):
        load_checkpoint(Path("nowhere.ckpt"))


def test_edges_connect_all_without_the_diagonals_of_a_square():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    assert neighbour_edges(square) == [(0, 1), (0, 3), (1, 2), (2, 3)]


@pytest.mark.parametrize("symmetry", ["two-fold", "full"])
def test_a_mirrored_object_without_front_is_no_other_one(symmetry):
    torch.manual_seed(2)
    graph = DetectorGraph(
        create_model("fast").eval(), 64, 30.0, mirror=True, symmetry=symmetry
    ).eval()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        seen = dict(zip(OUTPUT_NAMES, graph(images), strict=True))
        mirrored = dict(zip(OUTPUT_NAMES, graph(images.flip(2)), strict=True))
    twins = torch.cat([seen["keypoints_uv"][:, 10:], seen["keypoints_uv"][:, :10]], dim=1)
    expected = torch.stack([63 - twins[..., 0], twins[..., 1]], -1)
    torch.testing.assert_close(mirrored["keypoints_uv"], expected, atol=1e-3, rtol=0)
    # What is on the right is its front, here and there; or its front is where the camera is.
    points = seen["orientation_uv"]
    points = points.flip(1) if symmetry == "two-fold" else points
    expected = torch.stack([63 - points[..., 0], points[..., 1]], -1)
    torch.testing.assert_close(mirrored["orientation_uv"], expected, atol=1e-3, rtol=0)
