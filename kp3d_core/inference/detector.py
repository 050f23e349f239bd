"""From a camera image to metric keypoints and pose."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.geometry.camera import project, unproject
from kp3d_core.geometry.crop import CropCamera, make_crop_camera
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.inference.acceptance import (
    MOST_IMAGES_PER_FALSE_FIND,
    Acceptance,
    evidence_of,
)
from kp3d_core.inference.box import kept_view, match_box
from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.cropper import extract_crop
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.engines import Engine, create_engine
from kp3d_core.inference.growth import DOUBT_WEIGHT, growth_of, misfit, view_traits
from kp3d_core.inference.lift import LiftedKeypoints, calibrate_covariance, lift_keypoints
from kp3d_core.inference.model import Extent, Model
from kp3d_core.inference.plausibility import best_look, distinct, most_plausible
from kp3d_core.inference.pose_fit import align_layout, fit_layout
from kp3d_core.inference.search import search_views
from kp3d_core.inference.settings import DetectorSettings
from kp3d_core.inference.view import Region, View, view_of_region, whole_image

FloatArray = NDArray[np.float64]

_MAX_ZOOM_STEP = 4.0
"""Largest change of zoom between two looks: a scale far from 1 is a rough guess itself."""

_CANDIDATES = 6
"""Views of a search that get a second look. The object often is cut off in the first one, where it
looks no more plausible than what is not the object."""


class Detector:
    """Finds the keypoints and the pose of one object of the model's category."""

    def __init__(
        self,
        model: Model,
        engine: Engine | None = None,
        *,
        object_size_m: float | None = None,
        object_size_std_m: float = 0.0,
        settings: DetectorSettings | None = None,
    ) -> None:
        """Set up a detector.

        Args:
            model: from `load_model`.
            engine: from `create_engine`; the default engine if None.
            object_size_m: longest dimension of the object [m]; results are up to scale if None.
            object_size_std_m: standard deviation of that size [m], for the covariances.
            settings: when to look again and what to accept.
        """
        if object_size_m is not None and not 0 < object_size_m < math.inf:
            raise ValueError(
                f"object_size_m must be a positive length [m], got {object_size_m}. "
                "Pass the object's longest dimension, or None for results up to scale."
            )
        if not 0 <= object_size_std_m < math.inf:
            raise ValueError(
                f"object_size_std_m must not be negative [m], got {object_size_std_m}. Pass 0 if "
                "the size is exact."
            )
        self.model = model
        self._extent = model.extent or Extent.of_keypoints(model.keypoints.canonical)
        self._acceptance = model.acceptance or Acceptance.assumed(
            model.calibration.misfit_limit, DOUBT_WEIGHT
        )
        self.engine = engine or create_engine(model)
        self.settings = settings or DetectorSettings()
        self.metric = object_size_m is not None
        self.unit_m = object_size_m / 2 if object_size_m is not None else 1.0
        self._unit_relative_std = object_size_std_m / object_size_m if object_size_m else 0.0

    def detect(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        region: Region | None = None,
        *,
        down_camera: ArrayLike | None = None,
    ) -> Detection:
        """Find the object in a region whose fit around it is unknown, or in the whole image.

        Looks, corrects direction and zoom by what it saw, and looks again until the object appears
        as in training, at most `settings.max_runs` times. Returns the most plausible look.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            region: rectangle around the object; the whole image if None.
            down_camera: direction of gravity in the camera frame, any length; the image's y axis
                if None.
        """
        if region is None:
            return self.search(image, camera, down_camera=down_camera)[0]
        return self.detect_regions(image, camera, [region], down_camera=down_camera)[0]

    def detect_regions(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        regions: Sequence[Region],
        *,
        down_camera: ArrayLike | None = None,
    ) -> list[Detection]:
        """Find one object in each of several regions, as `detect` does in one.

        All regions share the engine calls: at most `settings.max_runs`, however many they are.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            regions: rectangles, one around each object.
            down_camera: direction of gravity in the camera frame.
        """
        _check_image(image, camera)
        down = _check_direction(down_camera)
        views = [self._view_of(region, camera, down) for region in regions]
        found = self.detect_views(image, camera, views, down_camera=down, boxes=regions)
        return self._acquire(image, camera, found, down, regions)

    def search(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        *,
        count: int = 1,
        down_camera: ArrayLike | None = None,
    ) -> list[Detection]:
        """The most plausible objects in the whole image, best first, at most `count`.

        Looks at overlapping parts of the image, `settings.search_levels` sizes of them, in one
        engine call, then again at the most promising ones. At least one is returned, accepted or
        not; of several, all but the first are accepted and each is another object.

        A model that found too many false objects in whole images when it was measured is not
        trusted: its one look at the image is refused, unless `settings.max_wrong` is 1.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            count: how many objects to look for.
            down_camera: direction of gravity in the camera frame.
        """
        _check_image(image, camera)
        down = _check_direction(down_camera)
        whole = self._view_of(whole_image(camera), camera, down)
        record = self._acceptance.search
        if record is not None and not record.is_usable and self.settings.max_wrong < 1:
            look = self.detect_views(image, camera, [whole], down_camera=down)[0]
            problem = (
                f"searching whole images, this model is not to be trusted ({record}, measured; one "
                f"false find in {MOST_IMAGES_PER_FALSE_FIND} is allowed): it needs boxes"
            )
            return [dataclasses.replace(look, problems=(problem,))]
        views = search_views(camera, whole, self.settings.search_levels, self.model.input_size)
        found = self.detect_views(image, camera, views, down_camera=down)
        best = most_plausible(found, max(_CANDIDATES, 2 * count))
        if len(found) > 1:
            # Each of the best gets a second look, centred and zoomed, before any is chosen.
            views = [detection.next_view for detection in best]
            again = self.detect_views(image, camera, views, down_camera=down)
            again = [dataclasses.replace(detection, runs=2) for detection in again]
            best = distinct(most_plausible(again, len(again)), count)
        return self._acquire(image, camera, best, down, [None] * len(best))

    def _acquire(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        found: Sequence[Detection],
        down_camera: ArrayLike | None,
        regions: Sequence[Region | None],
    ) -> list[Detection]:
        """Look again at whatever does not appear as in training yet, all in one engine call.

        Returns the best look at each object.
        """
        looks = [[detection] for detection in found]
        numbers = range(len(looks))
        while unclear := [n for n in numbers if self._needs_another_look(looks[n][-1])]:
            views = [looks[n][-1].next_view for n in unclear]
            boxes = [regions[n] for n in unclear]
            again = self.detect_views(image, camera, views, down_camera=down_camera, boxes=boxes)
            for n, detection in zip(unclear, again, strict=True):
                looks[n].append(dataclasses.replace(detection, runs=looks[n][-1].runs + 1))
        return [
            dataclasses.replace(best_look(row, region), runs=row[-1].runs)
            for row, region in zip(looks, regions, strict=True)
        ]

    def _needs_another_look(self, detection: Detection) -> bool:
        return detection.runs < self.settings.max_runs and not self._is_centered(detection)

    def _view_of(self, region: Region, camera: CameraModel, down_camera: FloatArray | None) -> View:
        """First view of a region, which shows it whole."""
        training = self.model.training_camera
        return view_of_region(
            region,
            camera,
            fill_px=self.settings.region_extent * training.focal_px / training.distance,
            input_size=self.model.input_size,
            down_camera=down_camera,
        )

    def track(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        view: View,
        *,
        down_camera: ArrayLike | None = None,
    ) -> Detection:
        """Find the object where a view expects it, with one engine call.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            view: usually the `next_view` of the detection before.
            down_camera: direction of gravity in the camera frame.
        """
        return self.detect_views(image, camera, [view], down_camera=down_camera)[0]

    def detect_views(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        views: Sequence[View],
        *,
        down_camera: ArrayLike | None = None,
        boxes: Sequence[Region | None] | None = None,
    ) -> list[Detection]:
        """Find one object in each of several views, with one engine call for all.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            views: one per object.
            down_camera: direction of gravity in the camera frame.
            boxes: what is known of the place and size of each object, if anything.
        """
        _check_image(image, camera)
        if not views:
            return []
        down = _check_direction(down_camera)
        crops = [
            make_crop_camera(
                np.asarray(view.center_ray, np.float64), view.focal_px, self.model.input_size, down
            )
            for view in views
        ]
        crop_images = np.stack([extract_crop(image, camera, crop) for crop in crops])
        outputs = self.engine.run(crop_images)
        known = boxes or [None] * len(views)
        return [
            self._decode({key: value[i] for key, value in outputs.items()}, crop, camera, seen, box)
            for i, (crop, seen, box) in enumerate(zip(crops, crop_images, known, strict=True))
        ]

    def _decode(
        self,
        outputs: dict[str, NDArray[np.float32]],
        crop: CropCamera,
        camera: CameraModel,
        crop_image: NDArray[np.uint8],
        box: Region | None,
    ) -> Detection:
        """Detection of the outputs for one crop."""
        values = {key: np.asarray(value, np.float64) for key, value in outputs.items()}
        finite = all(np.isfinite(value).all() for value in values.values())
        if not finite:
            values = {key: np.nan_to_num(value) for key, value in values.items()}
        # Bounded, so that a wild guess leads to a wild but finite pose, which is then refused.
        scale = min(max(float(values["scale"]), 0.05), 20.0)
        lifted = self._lift(values, scale, crop)
        calibration, layout = self.model.calibration, self.model.keypoints
        alignment = align_layout(layout, lifted, self.unit_m)
        residual = alignment.residual / self.unit_m
        orientation_score = float(values["orientation_score"])
        if not has_front(layout.symmetry):
            orientation_score = 1.0
        traits = view_traits(
            alignment.T,
            misfit(residual, values["score"]),
            orientation_score,
            layout,
            self.unit_m,
            scale=scale,
            R_crop_camera=crop.R_crop_camera,
        )
        growth = growth_of(traits, calibration)
        lifted = lifted.grown(growth)
        fit = fit_layout(layout, lifted, self.unit_m, growth.own, alignment)
        next_view = _next_view(fit.T, scale, crop, lifted.points_camera)
        match, scale_std = None, growth.scale * calibration.scale_std
        if box is not None:
            match = match_box(fit.T, self.unit_m, scale_std, box, self._extent, camera)
        if match is not None:
            next_view = kept_view(next_view, fit.T, match, camera)
            lifted = lifted.resized(match.log_size, scale_std, match.size_variance)
            fit = fit_layout(layout, lifted, self.unit_m, growth.own)
            scale *= math.exp(match.log_size)
            scale_std *= math.sqrt(match.size_variance)
        evidence = evidence_of(residual, float(values["score"].mean()), orientation_score)
        rays_camera = self._rays(values["keypoints_uv"], crop)
        detection = Detection(
            keypoints_camera=lifted.points_camera,
            keypoints_uv=camera.project(rays_camera),
            own_covariance=lifted.covariance,
            common_errors=lifted.common,
            growth=growth.own,
            score=values["score"],
            T_camera_object=fit.T,
            pose_covariance=fit.covariance(
                calibration.translation_scale, calibration.rotation_scale
            ),
            orientation_score=self._acceptance.orientation_probability(orientation_score),
            scale=scale,
            scale_std=scale_std,
            metric=self.metric,
            unit_m=self.unit_m,
            crop=crop,
            crop_image=crop_image,
            residual=residual,
            next_view=next_view,
            runs=1,
            evidence=evidence,
            wrong_probability=self._acceptance.wrong_probability(evidence),
            problems=(),
        )
        problems = self.settings.problems_of(detection, values["keypoints_uv"], self._acceptance)
        if not finite:
            problems = ("the network returned values that are not finite", *problems)
        return dataclasses.replace(detection, problems=problems)

    def _lift(
        self, values: dict[str, FloatArray], scale: float, crop: CropCamera
    ) -> LiftedKeypoints:
        calibration = self.model.calibration
        return lift_keypoints(
            values["keypoints_uv"],
            values["keypoints_depth"],
            calibrate_covariance(values["covariance"], calibration),
            scale,
            crop,
            self.model.training_camera,
            scale_std=calibration.scale_std,
            unit_m=self.unit_m,
            unit_relative_std=self._unit_relative_std,
        )

    def _rays(self, crop_uv: FloatArray, crop: CropCamera) -> FloatArray:
        """Directions in the camera frame of crop pixels, independent of any distance."""
        return np.asarray(unproject(crop_uv, np.ones(len(crop_uv)), crop.K_crop)) @ (
            crop.R_crop_camera
        )

    def _is_centered(self, detection: Detection) -> bool:
        """Whether looking again would show nothing new."""
        settings, crop = self.settings, detection.crop
        ray_crop = crop.R_crop_camera @ detection.next_view.center_ray
        if ray_crop[2] <= 0:
            return False
        offset = project(ray_crop[None], crop.K_crop)[0] - (crop.size - 1) / 2
        return bool(
            abs(math.log(detection.scale)) < settings.scale_tolerance
            and np.linalg.norm(offset) < settings.center_tolerance * crop.size
        )


def _next_view(
    T_camera_object: FloatArray, scale: float, crop: CropCamera, points_camera: FloatArray
) -> View:
    """View that shows the object's origin in the middle and at scale 1."""
    center = T_camera_object[:3, 3]
    if center @ crop.R_crop_camera[2] <= 0:  # behind the crop camera: the fit is nonsense
        center = points_camera.mean(axis=0)
    if center @ crop.R_crop_camera[2] <= 0:
        center = crop.R_crop_camera[2]
    zoom = min(max(1 / scale, 1 / _MAX_ZOOM_STEP), _MAX_ZOOM_STEP)
    return View(center / np.linalg.norm(center), float(crop.K_crop[0, 0]) * zoom)


def _check_image(image: NDArray[np.uint8], camera: CameraModel) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be RGB uint8 of shape (H, W, 3), got {image.dtype} of shape "
            f"{image.shape}. Convert its encoding first."
        )
    if image.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"image must have the size of its calibration, {camera.width} x {camera.height} px, "
            f"got {image.shape[1]} x {image.shape[0]} px. Scale K with the image, or calibrate at "
            "this resolution."
        )


def _check_direction(direction: ArrayLike | None) -> FloatArray | None:
    if direction is None:
        return None
    vector = np.asarray(direction, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise ValueError(
            f"down_camera must be a finite vector (3,) that is not zero, got {direction!r}. "
            "Pass None if gravity is unknown."
        )
    return vector
