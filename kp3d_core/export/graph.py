"""Both networks, the flag, the spatial softmax and the moments as one graph."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kp3d_core.geometry.camera import ndc_to_pixel
from kp3d_core.losses.orientation import flag_logit
from kp3d_core.models import Encoding, KeypointModel
from kp3d_core.models.heatmaps import heatmap_moments, mass_within, ndc_grid, spatial_softmax

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


class DetectorGraph(nn.Module):
    """What is exported: pixels in, keypoints with covariance and orientation out.

    Every engine decodes alike, because decoding is part of the graph; all of it is float32.
    """

    def __init__(
        self, model: KeypointModel, input_size: int, distance: float, mirror: bool = False
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
        """
        super().__init__()
        self.model = model
        self.input_size = input_size
        self.distance = distance
        self.mirror = mirror

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
        encoding, orientation_uv, log_scale = self._encode(image.permute(0, 3, 1, 2).float() / 255)
        logit = flag_logit(orientation_uv)
        flag = (logit > 0).float()
        maps = self.model.decode(encoding, torch.cat([flag, 1 - flag]) if self.mirror else flag)
        moments = heatmap_moments(maps.heatmap_logits, maps.depth_maps)
        score = mass_within(moments.heatmap, moments.uv, SCORE_RADIUS)
        to_pixels = moments.uv.new_tensor([self.input_size / 2, self.input_size / 2, 1.0])
        batch = image.shape[0]
        return (
            ndc_to_pixel(self._with_twins(moments.uv, batch, [-1.0, 1.0]), size_wh),
            self.distance + self._with_twins(moments.depth, batch, 1.0),
            self._with_twins(moments.covariance, batch, _MIRRORED_COVARIANCE)
            * (to_pixels[:, None] * to_pixels),
            self._with_twins(score, batch, 1.0),
            log_scale.exp(),
            ndc_to_pixel(orientation_uv, size_wh),
            torch.sigmoid(logit.abs()),
        )

    def _encode(
        self, image: Float[Tensor, "B 3 S S"]
    ) -> tuple[Encoding, Float[Tensor, "B 2 2"], Float[Tensor, " B"]]:
        """Encoding of the images, projections of front and back [NDC], logarithm of the size.

        The encoding holds the images, then their mirror images.
        """
        if not self.mirror:
            encoding = self.model.encode(image)
            orientation_uv = self._orientation(encoding.orientation_logits)
            return encoding, orientation_uv, encoding.log_scale
        both = self.model.encode(torch.cat([image, image.flip(-1)]))
        batch = image.shape[0]  # slices, not chunks: those would fix the batch size of the graph
        uv = self._orientation(both.orientation_logits)
        log_scale = (both.log_scale[:batch] + both.log_scale[batch:]) / 2
        return both, (uv[:batch] + uv[batch:] * uv.new_tensor([-1.0, 1.0])) / 2, log_scale

    def _with_twins(self, values: Tensor, batch: int | torch.SymInt, reflection: object) -> Tensor:
        """Keypoints of the images, then those of the mirror images as seen in the images."""
        if not self.mirror:
            return values
        twins = values[batch:] * values.new_tensor(reflection)
        return torch.cat([values[:batch], twins], dim=1)

    @staticmethod
    def _orientation(logits: Float[Tensor, "B P H W"]) -> Float[Tensor, "B 2 2"]:
        heatmap = spatial_softmax(logits[:, :2]).flatten(-2)
        return heatmap @ torch.stack(ndc_grid(logits), dim=-1).flatten(0, 1)
