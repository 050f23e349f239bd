"""Names and shapes of what a model's graph returns; the contract between exporter and engines."""

from __future__ import annotations

INPUT_NAME = "image"
"""uint8, shape (B, S, S, 3), RGB."""


def output_shapes(n_keypoints: int) -> dict[str, tuple[int, ...]]:
    """Shape per output without the leading batch axis; all are float32.

    keypoints_uv: crop pixels. keypoints_depth: depth in the training camera [model units].
    covariance: second moments of the heatmaps over (u px, v px, depth units). score: 0..1.
    scale: apparent size relative to the training camera. orientation_uv: the object's points
    (+1, 0, 0) and (-1, 0, 0) in crop pixels. orientation_score: probability, 0.5..1, that front
    and back are told apart correctly.
    """
    return {
        "keypoints_uv": (n_keypoints, 2),
        "keypoints_depth": (n_keypoints,),
        "covariance": (n_keypoints, 3, 3),
        "score": (n_keypoints,),
        "scale": (),
        "orientation_uv": (2, 2),
        "orientation_score": (),
    }
