"""Every engine that this machine has, against torch on rendered images."""

from __future__ import annotations

import numpy as np
import pytest

from kp3d_core.inference import Engine, create_engine, engine_names
from kp3d_core.inference.engines import engine_devices, why_unavailable
from kp3d_core.inference.outputs import output_shapes

TOLERANCES = {
    # float32 sums in another order: about 1e-4 px where heatmaps are sharp.
    "fp32": {"keypoints_uv": 0.02, "keypoints_depth": 1e-3, "covariance": 0.05, "score": 1e-3,
             "scale": 1e-4, "orientation_uv": 0.02, "orientation_score": 1e-3},
    # float16 rounds every activation to 3.3 digits and logits of 10 to 0.004, so heatmaps change by
    # about a percent.
    "fp16": {"keypoints_uv": 0.3, "keypoints_depth": 0.1, "covariance": 5.0, "score": 0.01,
             "scale": 0.01, "orientation_uv": 0.3, "orientation_score": 0.05},
    # Eight bits: see below.
    "int8": {"keypoints_uv": 2.0, "keypoints_depth": 0.5, "covariance": 12.0, "score": 0.15,
             "scale": 0.02, "orientation_uv": 3.0, "orientation_score": 0.1},
}  # fmt: skip
"""Difference to torch per precision and output, in px, model units and their products: the largest
of all keypoints and images, and the mean in int8, where random networks, unlike trained ones, have
keypoints that jump from one peak of a heatmap to another."""


VARIANTS = [(name, device) for name in engine_names() for device in engine_devices(name)]
REASONS = {variant: why_unavailable(*variant) for variant in VARIANTS}
RUNNING = [variant for variant in VARIANTS if not REASONS[variant]]


@pytest.mark.parametrize("variant", VARIANTS, ids="-".join)
def test_this_machine_runs(variant):
    """One skip for each engine and device that are not there: all else is run by those that are."""
    if REASONS[variant]:
        pytest.skip(" on ".join(variant) + f": {REASONS[variant]}")
    assert variant in RUNNING


@pytest.fixture(scope="module", params=TOLERANCES)
def precision(request):
    return request.param


@pytest.fixture(scope="module", params=RUNNING, ids="-".join)
def engine(request, case, precision, tmp_path_factory):
    name, device = request.param
    return create_engine(
        case.int8 if precision == "int8" else case.model,
        name,
        device=device,
        threads=1,
        precision=precision,
        cache=tmp_path_factory.mktemp("engines"),
    )


def test_agrees_with_torch(engine, case):
    outputs = engine.run(case.images)
    for name, tolerance in TOLERANCES[engine.precision].items():
        differences = np.abs(outputs[name] - case.expected[name])
        difference = differences.mean() if engine.precision == "int8" else differences.max()
        print(engine.name, engine.precision, name, f"{difference:.2g}")
        assert difference < tolerance, name
    # The comparison means something: keypoints differ between images and among each other.
    assert case.expected["keypoints_uv"].std(axis=(0, 1)).min() > 1


def test_shapes_types_and_batches(engine, case):
    for batch in (1, 3, 8):
        outputs = engine.run(case.images[:batch])
        assert outputs.keys() == output_shapes(case.model.keypoints.count).keys()
        for name, shape in output_shapes(case.model.keypoints.count).items():
            assert outputs[name].shape == (batch, *shape)
            assert outputs[name].dtype == np.float32


def test_a_batch_is_its_images(engine, case):
    together = engine.run(case.images)
    for i in range(4):
        alone = engine.run(case.images[i : i + 1])
        for name, tolerance in TOLERANCES[engine.precision].items():
            assert np.abs(together[name][i] - alone[name][0]).max() < tolerance, name


def test_results_belong_to_the_caller(engine, case):
    first = engine.run(case.images[:2])
    kept = {name: values.copy() for name, values in first.items()}
    engine.run(case.images[2:4])
    for name, values in first.items():
        assert np.array_equal(values, kept[name])


def test_the_same_image_gives_the_same_answer(engine, case):
    first, second = engine.run(case.images[:2]), engine.run(case.images[:2])
    for name, values in first.items():
        assert np.array_equal(values, second[name])


def test_a_view_of_an_array_is_accepted(engine, case):
    wide = np.repeat(case.images[:2], 2, axis=3)
    assert np.array_equal(
        engine.run(wide[..., ::2])["keypoints_uv"], engine.run(case.images[:2])["keypoints_uv"]
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 32, 32, 3), r"images must be uint8 of shape \(B, 64, 64, 3\), got uint8 of"),
        ((64, 64, 3), r"got uint8 of shape \(64, 64, 3\)"),
        ((0, 64, 64, 3), "images must hold at least one crop, got none"),
    ],
)
def test_wrong_images_are_refused(engine, shape, message):
    with pytest.raises(ValueError, match=message):
        engine.run(np.zeros(shape, np.uint8))


def test_says_what_it_is(engine):
    assert isinstance(engine, Engine)
    kind, version = engine.name.split(" ", 1)
    assert kind in (*engine_names(), "tensorrt_rtx")
    assert version[0].isdigit()
    assert engine.device
