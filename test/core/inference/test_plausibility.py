"""The best of several looks at one object."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import Detector, Region
from kp3d_core.inference.plausibility import best_look

T = make_transform(Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), np.array([0.3, 0.1, 6.0]))
REGION = Region(275.0, 180.0, 140.0, 140.0)


@pytest.fixture(scope="module")
def look(model, engine, pinhole):
    detection = Detector(model, engine).detect(draw_scene(pinhole, T), pinhole, REGION)
    assert detection.accepted
    return detection


def test_an_accepted_look_is_preferred_to_a_refused_one(look):
    refused = dataclasses.replace(look, residual=0.0, problems=("for the test",))
    assert best_look([look, refused], REGION) is look
    assert best_look([refused, look], REGION) is look


def test_a_look_at_the_region_is_preferred_to_one_beside_it(look):
    width = np.ptp(look.keypoints_uv[:, 0])
    for step in (0.3, 1.0, 3.0):
        aside = dataclasses.replace(look, keypoints_uv=look.keypoints_uv + [step * width, 0])
        assert best_look([look, aside], REGION) is look
    # Nothing is known without a region: of equal looks the latest counts.
    assert best_look([look, aside], None) is aside


def test_looks_that_go_astray_are_not_believed(model, engine, pinhole):
    class Lured:
        """From its second call on, sees the keypoints where and as large as they are not."""

        name, device, precision = engine.name, engine.device, engine.precision
        calls = 0

        def run(self, images):
            outputs = dict(engine.run(images))
            self.calls += 1
            if self.calls > 1:
                outputs["keypoints_uv"] = outputs["keypoints_uv"][:, ::-1] * 0.5
                outputs["scale"] = outputs["scale"] * 2
            return outputs

    image = draw_scene(pinhole, T)
    wide = Region(
        REGION.x - 30, REGION.y - 30, REGION.width + 60, REGION.height + 60, error=math.inf
    )
    first = Detector(model, engine).detect_views(
        image, pinhole, [Detector(model, engine)._view_of(wide, pinhole, None)]
    )[0]
    lured = Detector(model, Lured()).detect(image, pinhole, wide)
    assert lured.runs == Detector(model, engine).settings.max_runs
    np.testing.assert_allclose(lured.T_camera_object, first.T_camera_object)
    assert lured.accepted
