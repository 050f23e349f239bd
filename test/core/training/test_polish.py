"""The last stage: network and refiner together, on few cars for few steps."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch

from kp3d_core.data.memory import load_views
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.inference import create_engine, load_model
from kp3d_core.losses.places import place_errors
from kp3d_core.models import create_model
from kp3d_core.models.refiner import Reading
from kp3d_core.models.rounding import rounded
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.polish import run
from kp3d_core.training.polish.places import mean_places
from kp3d_core.training.polish.settings import PolishSettings

SETTINGS = PolishSettings(steps=4, warmup_steps=1)


@pytest.fixture(scope="module")
def refined(kp3d, trained_run, rendered_cars, tmp_path_factory):
    path = tmp_path_factory.mktemp("refined") / "refined.ckpt"
    data = rendered_cars / "val"
    kp3d("refine", trained_run / "checkpoints" / "last.ckpt", data, "-o", path, "--steps", 20)
    return path


@pytest.fixture(scope="module")
def polish(refined, rendered_cars):
    def start(output, settings=SETTINGS, checkpoint=refined):
        return run.polish_checkpoint(
            checkpoint,
            rendered_cars / "train",
            rendered_cars / "val",
            output,
            settings,
            objects_per_batch=3,
            steps_per_epoch=2,
            precision="fp32",
            progress_bar=False,
        )

    return start


@pytest.fixture(scope="module")
def polished(polish, tmp_path_factory):
    return polish(tmp_path_factory.mktemp("polished"))


@pytest.fixture(scope="module")
def exported(kp3d, polished, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "car.onnx"
    kp3d("export", polished, "-o", path)
    return path


def test_what_is_written_can_be_exported(exported, polished, refined, rendered_cars):
    before, after = load_checkpoint(refined), load_checkpoint(polished)
    assert not torch.equal(after.refiner.layers[0].weight, before.refiner.layers[0].weight)
    folded = before.model.fold_batch_norm().state_dict()
    trained = after.model.state_dict()
    assert trained.keys() == folded.keys()
    assert not torch.equal(trained["up4.0.0.weight"], folded["up4.0.0.weight"])
    assert [stage["steps"] for stage in after.earlier_stages] == [before.steps]
    assert after.settings["polish"] == dataclasses.asdict(SETTINGS)
    # The export checks that the file agrees with torch, with rounded weights.
    model = load_model(exported)
    assert model.provenance["refinement"]["steps"] == 20
    constants = {c.name: c for c in onnx.load(exported).graph.initializer}
    weight = torch.tensor(onnx.numpy_helper.to_array(constants["model.up4.0.0.weight"]))
    torch.testing.assert_close(weight, rounded(trained["up4.0.0.weight"]))
    image = np.ascontiguousarray(load_views(rendered_cars / "val", 64).rgba[0, :2, ..., :3])
    exact = create_engine(model, "onnxruntime", precision="fp32").run(image)
    half = create_engine(model, "onnxruntime", precision="fp16").run(image)
    assert np.abs(exact["keypoints_uv"] - half["keypoints_uv"]).max() < 0.5


def test_an_interrupted_run_goes_on_to_the_same_weights(polish, polished, tmp_path):
    class StopAfterTheFirstEpoch(run.TimeLimit):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "TimeLimit", StopAfterTheFirstEpoch)
        half = torch.load(polish(tmp_path), weights_only=False)
    assert half["global_step"] == 2
    resumed = torch.load(polish(tmp_path), weights_only=False)
    assert resumed["global_step"] == 4
    unbroken = torch.load(polished, weights_only=False)["state_dict"]
    for name, value in unbroken.items():
        assert torch.equal(resumed["state_dict"][name], value), name


def test_its_refiner_can_be_fitted_further(kp3d, polish, rendered_cars, tmp_path):
    # Nearly without training: this network of few steps tells the orientation by chance, and the
    # refiner's fixture has shown that it does so for these cars.
    still = dataclasses.replace(SETTINGS, steps=2, learning_rate=1e-9)
    polished = polish(tmp_path / "run", still)
    kp3d("refine", polished, rendered_cars / "val", "-o", tmp_path / "again.ckpt", "--steps", 20)
    before, after = load_checkpoint(polished), load_checkpoint(tmp_path / "again.ckpt")
    assert after.refinement["before"] == before.refinement
    assert torch.equal(after.refiner.mean, before.refiner.mean)  # not a new one
    assert not torch.equal(after.refiner.layers[0].weight, before.refiner.layers[0].weight)
    network = after.model.state_dict()
    assert all(torch.equal(value, network[k]) for k, value in before.model.state_dict().items())


def test_command(kp3d, refined, rendered_cars, tmp_path):
    output = kp3d("polish", refined, rendered_cars / "train", rendered_cars / "train",
                  "-o", tmp_path, "--steps", 2, code=1)  # fmt: skip
    assert "train and val must not share instances" in output


def test_a_checkpoint_without_refiner_is_refused(polish, trained_run, tmp_path):
    with pytest.raises(ValueError, match=r"CHECKPOINT must have a refiner .* kp3d refine"):
        polish(tmp_path, checkpoint=trained_run / "checkpoints" / "last.ckpt")


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        PolishSettings(steps=0)


def test_places_are_means_over_views_of_the_right_orientation(rendered_cars):
    torch.manual_seed(0)
    graph = DetectorGraph(create_model("fast").eval(), 64, 30.0, mirror=True).eval()
    views = load_views(rendered_cars / "train", 64)
    done = []
    places, counts = mean_places(graph, views, done.append)
    assert places.shape == (6, 20, 3)
    assert done == [4, 6]
    assert (counts <= 6).all()
    # By hand, on one object.
    rgba, T, K = (torch.from_numpy(v[0]) for v in (views.rgba, views.T_camera_object, views.K))
    with torch.no_grad():
        look = graph.look(rgba[..., :3].permute(0, 3, 1, 2).float() / 255)
        reading = graph.merge(look.reading)
    right = look.flag == (T[:, 0, 0] > 0)
    assert counts[0] == right.sum()
    points = []
    for view in right.nonzero()[:, 0]:
        pixel = (reading.uv[view] + 1) * 32 - 0.5
        depth = T[view, 2, 3] + reading.depth[view]
        ray = torch.cat([pixel, torch.ones(20, 1)], dim=1) @ torch.linalg.inv(K[view]).T
        camera = ray * depth[:, None]
        points.append((camera - T[view, :3, 3]) @ T[view, :3, :3])
    if points:
        torch.testing.assert_close(places[0], torch.stack(points).mean(0), atol=1e-4, rtol=1e-4)


def test_errors_of_a_perfect_reading_are_none_and_of_a_wrong_size_one_of_distance():
    torch.manual_seed(0)
    places = torch.randn(5, 8, 3)
    T = torch.eye(4).repeat(5, 1, 1)
    T[:, :3, :3] = torch.linalg.qr(torch.randn(5, 3, 3))[0]
    T[:, :3, :3] *= torch.linalg.det(T[:, :3, :3]).sign()[:, None, None]
    T[:, 2, 3] = 30.0
    K = torch.diag(torch.tensor([22.0, 22.0, 1.0])).repeat(5, 1, 1)
    camera = transform_points(T, places)
    nothing = torch.zeros(5)
    reading = Reading(
        project(camera, K), camera[..., 2] - 30, torch.zeros(5, 8, 3, 3), torch.ones(5, 8),
        nothing, torch.zeros(5, 6, 2), torch.zeros(5, 0),
    )  # fmt: skip
    errors = place_errors(reading, places, K, T, nothing)
    assert errors.distance.max() < 0.021  # where it stops to count
    assert errors.angle.max() < 1e-3
    larger = place_errors(reading._replace(log_scale=nothing + 0.1), places, K, T, nothing)
    assert torch.allclose(larger.log_scale, torch.tensor(0.1))
    assert torch.allclose(larger.distance, errors.distance)  # which is that of the true distance
    assert larger.angle.min() > errors.angle.max()
    unknown = place_errors(
        reading._replace(log_scale=nothing + 0.1), places, K, T, nothing, nothing > 0
    )
    assert not unknown.log_scale.any()
