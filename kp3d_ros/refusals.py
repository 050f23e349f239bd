"""What was seen where no object was accepted, in words, and what to set."""

from __future__ import annotations

import numpy as np

from kp3d_core.inference import Detection, Model
from kp3d_ros.settings import Settings


def certainty(detection: Detection) -> float:
    """Orders refused detections: the one that is most likely the object is the largest."""
    return -detection.wrong_probability


def describe(detection: Detection, model: Model) -> str:
    """Score, misfit, size and place of a refused detection, and why it was refused."""
    low, high = detection.keypoints_uv.min(axis=0), detection.keypoints_uv.max(axis=0)
    (u, v), length = (low + high) / 2, float(np.max(high - low))
    where = f", {length:.0f} pixels long around ({u:.0f}, {v:.0f})"
    if detection.keypoints_camera[:, 2].min() <= 0:
        where = ""  # what is behind the camera has no pixels
    return (
        f"The most likely one of '{model.name}' had score {detection.score.mean():.2f} and misfit "
        f"{detection.misfit:.2f}{where}; refused: {'; '.join(detection.problems)}."
    )


def advice(detection: Detection, model: Model, settings: Settings) -> str:
    """What to set if a refused detection is the object after all."""
    low, high = detection.keypoints_uv.min(axis=0), detection.keypoints_uv.max(axis=0)
    hints = []
    if settings.max_wrong < 1:
        hints.append("raise 'max_wrong' and let more wrong ones through, too")
    if np.max(high - low) < model.input_size / 2:
        hints.append(f"come closer (the network looks at {model.input_size} pixels)")
    if not any(settings.region):
        hints.append("say where it is by detections or 'region'")
    if not any(settings.gravity) and not settings.gravity_frame:
        hints.append("set 'gravity' or 'gravity_frame' if the camera is tilted")
    hints.append(f"check that 'model' is of its kind ({model.category})")
    return f"If that is the object: {', '.join(hints)}."


def expectations(model: Model, max_wrong: float) -> str:
    """What can be expected of a model: how much it accepts, and how it searches whole images."""
    acceptance = model.acceptance
    if acceptance is None:
        return (
            f"How often '{model.name}' is wrong was not measured: 'max_wrong' takes the limit of "
            "its misfit for 5 %. Nor was how well it searches whole images: publish detections. "
            "`kp3d package` measures both."
        )
    limit = acceptance.limit(max_wrong)
    if limit.probability < 0:
        accepted = (
            f"'{model.name}' accepts nothing: 'max_wrong' is {max_wrong:g}, and the surest of its "
            f"results are wrong in up to {acceptance.least_wrong:.2g}. Raise it."
        )
    else:
        accepted = (
            f"'{model.name}' accepts {limit.accepted:.0%} of the objects whose box is given, as "
            f"measured, for 'max_wrong' {max_wrong:g}."
        )
    if acceptance.search is None:
        return f"{accepted} How well it searches whole images was not measured."
    needs = "" if acceptance.search.is_usable else " It needs boxes: publish detections."
    return f"{accepted} Whole images searched: {acceptance.search}.{needs}"
