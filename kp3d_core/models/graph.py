"""Both networks, the flag, the spatial softmax and the moments as one graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kp3d_core.geometry.camera import ndc_to_pixel
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.models.heatmaps import expected_uv, flag_logit, heatmap_moments, mass_within
from kp3d_core.models.interface import KeypointModel
from kp3d_core.models.refiner import Reading, Refiner

INPUT_NAME = "image"
OUTPUT_NAMES = (
    "keypoints_uv",
    "keypoints_depth",
    "covariance",
    "score",
    "scale",
    "orientation_uv",
    "orientation_score",
)
SCORE_RADIUS = 0.15
"""A keypoint's score is its heatmap's mass within this distance of its position [NDC]."""
_MIRRORED_COVARIANCE = [[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]
"""Signs of the covariance of (u, v, depth) when u changes its sign."""


class Look(NamedTuple):
    """What a network says of B images, and then, with `mirror`, of their mirror images: R rows."""

    reading: Reading
    orientation_logits: Float[Tensor, "R P h w"]
    flag: Float[Tensor, " B"]
    """The orientation that it sees."""


class DetectorGraph(nn.Module):
    """What is exported: pixels in, keypoints with covariance and orientation out.

    Every engine decodes alike, because decoding is part of the graph; all of it is float32.
    """

    def __init__(
        self,
        model: KeypointModel,
        input_size: int,
        distance: float,
        mirror: bool = False,
        refiner: Refiner | None = None,
        symmetry: str = "none",
    ) -> None:
        """Wrap a trained network.

        Args:
            model: network in evaluation mode.
            input_size: side S of the images [px].
            distance: of the training camera, d0 [model units].
            mirror: look at the image and its mirror image, for twice the arithmetic. A mirrored
                object faces the other way, so errors of orientation and size that are not mirrored
                cancel in the mean of both; and the keypoints found in the mirror image, mirrored
                back, are as many others on the object.
            refiner: corrects what is read, if there is one; made for the same `mirror`.
            symmetry: of the objects; without a front, none is looked for, and mirrored objects are
                no others.
        """
        super().__init__()
        self.model = model
        self.input_size = input_size
        self.distance = distance
        self.mirror = mirror
        self.refiner = refiner
        self.symmetry = symmetry

    @property
    def num_keypoints(self) -> int:
        """N; with `mirror` those of the network, then the twin of each from the mirror image."""
        return (2 if self.mirror else 1) * self.model.num_keypoints

    def forward(self, image: UInt8[Tensor, "B S S 3"]) -> tuple[Tensor, ...]:
        """Outputs in the order of `OUTPUT_NAMES`; pixels are those of the image given.

        keypoints_uv (B, N, 2) [px], keypoints_depth (B, N) [model units, in the training camera],
        covariance (B, N, 3, 3) of (u, v, depth), score (B, N), scale (B,), orientation_uv
        (B, 2, 2) [px], orientation_score (B,).
        """
        size_wh = (self.input_size, self.input_size)
        reading = self.merge(self.refine(self.read(image)))
        to_pixels = reading.uv.new_tensor([self.input_size / 2, self.input_size / 2, 1.0])
        return (
            ndc_to_pixel(reading.uv, size_wh),
            self.distance + reading.depth,
            reading.covariance * (to_pixels[:, None] * to_pixels),
            reading.score,
            reading.log_scale.exp(),
            ndc_to_pixel(reading.orientation_uv, size_wh),
            torch.sigmoid(flag_logit(reading.orientation_uv).abs()),
        )

    def read(self, image: UInt8[Tensor, "B S S 3"]) -> Reading:
        """What the network reads in the images, then, with `mirror`, in their mirror images."""
        # Cast first: TensorRT refuses graphs that do anything else with uint8.
        return self.look(image.float().permute(0, 3, 1, 2) / 255).reading

    def look(self, pixels: Float[Tensor, "B 3 S S"], flag: Tensor | None = None) -> Look:
        """The same of RGB in 0..1, with what it comes from.

        Args:
            pixels: of the images.
            flag: (B,) orientation that the keypoint stage is told; as the network sees it if None.
        """
        batch = pixels.shape[0]
        if self.mirror:
            pixels = torch.cat([pixels, pixels.flip(-1)])
        encoding = self.model.encode(pixels)
        points_uv = expected_uv(encoding.orientation_logits)
        seen_flag = (flag_logit(self._mean_points(points_uv, batch)) > 0).float()
        mirrored = 1.0 - (seen_flag if flag is None else flag)
        if not has_front(self.symmetry):
            seen_flag = mirrored = torch.ones_like(seen_flag)
        flag = seen_flag if flag is None else flag
        maps = self.model.decode(encoding, torch.cat([flag, mirrored]) if self.mirror else flag)
        moments = heatmap_moments(maps.heatmap_logits, maps.depth_maps)
        reading = Reading(
            uv=moments.uv,
            depth=moments.depth,
            covariance=moments.covariance,
            score=mass_within(moments.heatmap, moments.uv, SCORE_RADIUS),
            log_scale=encoding.log_scale,
            orientation_uv=points_uv,
            summary=encoding.summary,
        )
        return Look(reading, encoding.orientation_logits, seen_flag)

    def refine(self, reading: Reading) -> Reading:
        """The reading as the refiner corrects it, if there is one."""
        return reading if self.refiner is None else self.refiner(reading)

    def merge(self, reading: Reading) -> Reading:
        """One reading of each image: keypoints of the mirror image are twins of its own ones."""
        batch = reading.uv.shape[0] // (2 if self.mirror else 1)
        points_uv = self._mean_points(reading.orientation_uv, batch)
        if not self.mirror:
            return reading._replace(orientation_uv=points_uv)

        def with_twins(values: Tensor, reflection: object) -> Tensor:
            """Keypoints of the images, then those of the mirror images as seen in the images."""
            twins = values[batch:] * values.new_tensor(reflection)
            return torch.cat([values[:batch], twins], dim=1)

        return Reading(
            uv=with_twins(reading.uv, [-1.0, 1.0]),
            depth=with_twins(reading.depth, 1.0),
            covariance=with_twins(reading.covariance, _MIRRORED_COVARIANCE),
            score=with_twins(reading.score, 1.0),
            log_scale=(reading.log_scale[:batch] + reading.log_scale[batch:]) / 2,
            orientation_uv=points_uv,
            summary=reading.summary[:batch],
        )

    def _mean_points(
        self, points_uv: Float[Tensor, "R P 2"], batch: int | torch.SymInt
    ) -> Float[Tensor, "B 2 2"]:
        """Projections of front and back, the mean of the image and its mirror image [NDC]."""
        points_uv = points_uv[:, :2]
        if not self.mirror:
            return points_uv
        # Slices, not chunks: those would fix the batch size of the graph.
        twins = points_uv[batch:]
        if self.symmetry == "two-fold":  # its front is on the right in the mirror image, too
            twins = twins.flip(-2)
        twins = twins * points_uv.new_tensor([-1.0, 1.0])
        return (points_uv[:batch] + twins) / 2
