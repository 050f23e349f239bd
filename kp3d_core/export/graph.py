"""Both networks, the flag, the spatial softmax and the moments as one graph."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kp3d_core.geometry.camera import ndc_to_pixel
from kp3d_core.losses.orientation import flag_logit
from kp3d_core.models import KeypointModel
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


class DetectorGraph(nn.Module):
    """What is exported: pixels in, keypoints with covariance and orientation out.

    Every engine decodes alike, because decoding is part of the graph; all of it is float32.
    """

    def __init__(self, model: KeypointModel, input_size: int, distance: float) -> None:
        """Wrap a trained network.

        Args:
            model: network in evaluation mode.
            input_size: side S of the images [px].
            distance: of the training camera, d0 [model units].
        """
        super().__init__()
        self.model = model
        self.input_size = input_size
        self.distance = distance

    def forward(self, image: UInt8[Tensor, "B S S 3"]) -> tuple[Tensor, ...]:
        """Outputs in the order of `OUTPUT_NAMES`; pixels are those of the image given.

        keypoints_uv (B, N, 2) [px], keypoints_depth (B, N) [model units, in the training camera],
        covariance (B, N, 3, 3) of (u, v, depth), score (B, N), scale (B,), orientation_uv
        (B, 2, 2) [px], orientation_score (B,).
        """
        size_wh = (self.input_size, self.input_size)
        encoding = self.model.encode(image.permute(0, 3, 1, 2).float() / 255)
        orientation_uv = self._orientation(encoding.orientation_logits)
        logit = flag_logit(orientation_uv)
        maps = self.model.decode(encoding, (logit > 0).float())
        moments = heatmap_moments(maps.heatmap_logits, maps.depth_maps)
        score = mass_within(moments.heatmap, moments.uv, SCORE_RADIUS)
        to_pixels = moments.uv.new_tensor([self.input_size / 2, self.input_size / 2, 1.0])
        return (
            ndc_to_pixel(moments.uv, size_wh),
            self.distance + moments.depth,
            moments.covariance * to_pixels[:, None] * to_pixels,
            score,
            encoding.log_scale.exp(),
            ndc_to_pixel(orientation_uv, size_wh),
            torch.sigmoid(logit.abs()),
        )

    @staticmethod
    def _orientation(logits: Float[Tensor, "B P H W"]) -> Float[Tensor, "B 2 2"]:
        heatmap = spatial_softmax(logits[:, :2])
        u, v = ndc_grid(logits)
        return torch.stack([(heatmap * u).sum((-2, -1)), (heatmap * v).sum((-2, -1))], dim=-1)
