"""Colours of keypoints: the same in pictures, model files and RViz."""

from __future__ import annotations

import colorsys


def keypoint_colors(num: int) -> list[tuple[float, float, float]]:
    """`num` well separated RGB colours, 0..1, by index around the hue circle."""
    return [colorsys.hsv_to_rgb(i / num, 1.0 if i % 2 else 0.75, 1.0) for i in range(num)]
