"""Finding the object anywhere in the image, without a region."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import Detector, DetectorSettings, View
from kp3d_core.inference.acceptance import Acceptance, SearchRecord
from kp3d_core.inference.search import search_views

WHOLE = View((0.0, 0.0, 1.0), 65.0)


def test_views_cover_the_image(camera):
    views = search_views(camera, WHOLE, 3, 128)
    zooms = [view.focal_px for view in views]
    assert (zooms.count(65.0), zooms.count(130.0)) == (1, 6) or camera.K[0, 0] > 600
    assert sorted(set(zooms)) == [65.0, 130.0, 260.0]
    centers = camera.project(np.stack([view.center_ray for view in views]))
    assert centers.min() >= -0.5
    assert np.all(centers <= [639.5, 479.5])


@pytest.mark.parametrize(
    ("u", "v", "distance"),
    [(320, 240, 2.6), (170, 150, 4.0), (460, 330, 4.0), (170, 150, 6.0), (460, 330, 6.0)],
)
def test_finds_the_object_anywhere(model, engine, pinhole, u, v, distance):
    T = make_transform(
        Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), distance * pinhole.rays([u, v])
    )
    detector = Detector(model, engine, settings=DetectorSettings(search_levels=3))
    detection = detector.detect(draw_scene(pinhole, T), pinhole)
    assert detection.accepted, detection.problems
    assert detection.runs <= detector.settings.max_runs
    assert np.allclose(detection.T_camera_object, T, atol=0.02 * distance)


def test_one_level_looks_at_the_image_as_a_whole(model, engine, pinhole):
    T = make_transform(Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), np.array([0, 0, 2.6]))
    batches = []

    class Counting:
        name, device, precision = engine.name, engine.device, engine.precision

        def run(self, images):
            batches.append(len(images))
            return engine.run(images)

    detector = Detector(model, Counting(), settings=DetectorSettings(search_levels=1))
    assert detector.detect(draw_scene(pinhole, T), pinhole).accepted
    assert set(batches) == {1}


def test_a_model_that_finds_what_is_not_there_needs_boxes(model, engine, pinhole):
    T = make_transform(Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), np.array([0, 0, 2.6]))
    image = draw_scene(pinhole, T)

    def searched(record, **settings):
        acceptance = dataclasses.replace(Acceptance.assumed(0.5, 0.35), search=record)
        measured = dataclasses.replace(model, acceptance=acceptance)
        detector = Detector(measured, engine, settings=DetectorSettings(**settings))
        return detector.search(image, pinhole)[0]

    assert searched(SearchRecord(images=100, false=5, recall=0.4)).accepted
    refused = searched(SearchRecord(images=100, false=6, recall=0.4))
    (problem,) = refused.problems
    assert "6 false finds in 100 images, 40% of large objects found" in problem
    assert problem.endswith("it needs boxes")
    assert searched(SearchRecord(images=100, false=6, recall=0.4), max_wrong=1.0).accepted
