"""Weights that are kept in the repository to go on from: whole, and still know cars."""

from pathlib import Path

import torch

import kp3d_core.training
from kp3d_core.data.memory import load_views
from kp3d_core.losses.orientation import flag_logit
from kp3d_core.models.heatmaps import expected_uv
from kp3d_core.training.checkpoint import load_checkpoint

FOLDER = Path(kp3d_core.training.__file__).parent / "weights"


def test_the_car_for_photographs_tells_front_from_back(rendered_cars):
    kept = load_checkpoint(FOLDER / "car_lite_64.safetensors")
    assert (kept.settings["network"], kept.data["input_size"]) == ("lite", 64)
    assert kept.steps == 2600  # of its last stage
    views = load_views(rendered_cars / "val", 64)
    images = torch.from_numpy(views.rgba[..., :3]).flatten(0, 1).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        encoding = kept.model.encode(images)
    front_is_right = flag_logit(expected_uv(encoding.orientation_logits)) > 0
    truth = torch.from_numpy(views.T_camera_object[..., 0, 0] > 0).flatten()
    assert (front_is_right == truth).float().mean() >= 0.9
