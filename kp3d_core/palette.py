"""Colours of keypoints: the same in pictures, model files and RViz."""

from __future__ import annotations

import colorsys


def keypoint_colors(num: int, twins: bool = False) -> list[tuple[float, float, float]]:
    """`num` well separated RGB colours, 0..1, by index around the hue circle.

    Args:
        num: how many.
        twins: give the second half darker shades of the first.
    """
    hues = num // 2 if twins else num
    bright = [colorsys.hsv_to_rgb(i / hues, 1.0 if i % 2 else 0.75, 1.0) for i in range(hues)]
    dark = [(0.6 * red, 0.6 * green, 0.6 * blue) for red, green, blue in bright]
    return bright + dark if twins else bright
