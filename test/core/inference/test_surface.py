"""What the gaps between the measured surface and the keypoints tell of an object's place."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from tiny_model import metadata, write_tiny_model

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import load_model
from kp3d_core.inference.surface import Surface, guess_unit, input_count, surface_inputs

N = 4
T = make_transform(np.eye(3), np.array([0.3, -0.2, 7.0]))


def mean_gap_surface(std: float = 0.05) -> Surface:
    """One layer: the object is where its keypoints have a gap of 0 on average."""
    weight = np.zeros((1, input_count(N)))
    weight[0, :N] = 1 / N
    return Surface((weight,), (np.zeros(1),), std)


def test_inputs_are_gaps_what_is_known_and_the_view():
    gaps = np.array([0.1, np.nan, -0.2, 0.9])
    R = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    inputs = surface_inputs(gaps, make_transform(R, np.array([0.0, 0.0, 5.0])))
    assert len(inputs) == input_count(N)
    # A wall far behind is as unknown as a hole: no gap, and no claim that there is none.
    np.testing.assert_allclose(inputs[: 2 * N], [0.1, 0, -0.2, 0, 1, 0, 1, 0])
    np.testing.assert_allclose(inputs[2 * N : 2 * N + 3], [0, 0, -1], atol=1e-12)  # to the camera
    assert inputs[-1] == pytest.approx(math.log(5))


def test_layers_are_joined_by_silu():
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(3, input_count(N))), rng.normal(size=(1, 3)))
    biases = (rng.normal(size=3), rng.normal(size=1))
    gaps = rng.uniform(-0.1, 0.1, N)
    z = weights[0] @ surface_inputs(gaps, T) + biases[0]
    expected = (weights[1] @ (z / (1 + np.exp(-z))) + biases[1]).item()
    scaled = tuple(0.1 * array for array in (weights[1], biases[1]))  # within what is believed
    surface = Surface((weights[0], scaled[0]), (biases[0], scaled[1]), 0.1)
    assert surface.shift(gaps, T) == pytest.approx(np.clip(0.1 * expected, -0.5, 0.5))


def test_an_absurd_answer_is_bounded():
    surface = dataclasses.replace(mean_gap_surface(), biases=(np.array([1e4]),))
    assert surface.shift(np.zeros(N), T) == 0.5


def test_a_guess_is_the_median_of_what_is_measured():
    depths = np.array([5.0, 6.0, 7.0, -1.0, 8.0])
    measured = np.array([10.0, 12.0, 90.0, 1.0, np.nan])  # one sees a wall, one lies behind
    assert guess_unit(measured, depths) == pytest.approx(2.0)
    assert guess_unit(np.full(5, np.nan), depths) is None


@pytest.mark.parametrize("guess", [0.97, 1.0, 1.02])
def test_scale_is_corrected_to_where_the_gaps_vanish(guess):
    unit_m = 1.7
    depths = 7.0 + np.array([-0.3, 0.1, 0.2, 0.4])
    measured = unit_m * depths  # the surface goes through the keypoints
    corrected = mean_gap_surface().corrected(guess * unit_m, measured, depths, T)
    # Two steps of a Newton method whose first error is 3 %: what is left is of fourth order.
    assert corrected == pytest.approx(unit_m, rel=1e-4)


def _entry() -> dict:
    inputs = input_count(len(metadata()["keypoints"]["names"]))
    rng = np.random.default_rng(1)
    return {
        "sizes": [5, 1],
        "weights_0": rng.normal(size=(5, inputs)).tolist(),
        "biases_0": rng.normal(size=5).tolist(),
        "weights_1": rng.normal(size=(1, 5)).tolist(),
        "biases_1": [0.25],
        "std": 0.06,
        "measured": {"views": 3},
    }


def test_a_model_file_may_have_a_surface(tmp_path):
    plain = load_model(write_tiny_model(tmp_path / "plain.onnx"))
    assert plain.surface is None
    entry = _entry()
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=metadata() | {"surface": entry})
    surface = load_model(path).surface
    assert surface is not None
    assert surface.std == 0.06
    assert surface.measured == {"views": 3}
    for k in range(2):
        np.testing.assert_array_equal(surface.weights[k], entry[f"weights_{k}"])
        np.testing.assert_array_equal(surface.biases[k], entry[f"biases_{k}"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": []}, "surface.sizes must be the widths of 1 to 8 layers"),
        ({"sizes": [5, 2]}, "and the last one 1, got"),
        ({"sizes": [10**9, 1]}, "each at most 1024"),
        ({"sizes": [5.0, 1]}, "surface.sizes must be the widths"),
        ({"sizes": [1] * 9}, "surface.sizes must be the widths of 1 to 8 layers"),
        ({"sizes": [6, 1]}, "surface.weights_0 must have shape"),
        ({"biases_1": [float("nan")]}, "surface.biases_1 must be finite"),
        ({"weights_1": "many"}, "surface.weights_1 must be of type list"),
        ({"std": -1.0}, "surface.std must be in"),
        ({"measured": 7}, "surface.measured must be of type dict"),
    ],
)
def test_bad_surfaces_are_refused(tmp_path, change, message):
    content = metadata() | {"surface": _entry() | change}
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content)
    with pytest.raises(ValueError, match=message):
        load_model(path)
