"""The second stage: network and refiner together, on few cars for few steps."""

import dataclasses

import pytest
import torch

from kp3d_core.data.augmentation import Augmentation, Sensor
from kp3d_core.data.reframing import Reframing
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.losses.places import place_errors
from kp3d_core.models.refiner import Reading
from kp3d_core.training import finetune_run
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.finetune_run import run_finetuning
from kp3d_core.training.finetune_settings import FinetuneSettings

SETTINGS = FinetuneSettings(steps=4, rise_steps=1, warmup_steps=20, warmup_views=32, min_views=1)


@pytest.fixture(scope="module")
def finetune(trained_run, rendered_cars):
    def start(output, settings=SETTINGS, report=lambda what, done, total: None):
        return run_finetuning(
            trained_run / "checkpoints" / "last.ckpt",
            rendered_cars / "train",
            rendered_cars / "val",
            output,
            settings,
            objects_per_batch=3,
            steps_per_epoch=2,
            precision="fp32",
            report=report,
        )

    return start


@pytest.fixture(scope="module")
def finetuned(finetune, tmp_path_factory):
    return finetune(tmp_path_factory.mktemp("finetuned"))


def test_network_and_refiner_are_trained_without_batch_normalisation(finetuned, trained_run):
    before = load_checkpoint(trained_run / "checkpoints" / "last.ckpt")
    after = load_checkpoint(finetuned)
    warm = torch.load(finetuned.parents[1] / "warm.pt", weights_only=True)
    assert warm["places"].shape == (6, 20, 3)
    assert warm["refiner"]["layers.9.weight"].any()  # zero in a new one
    assert not torch.equal(after.refiner.layers[9].weight, warm["refiner"]["layers.9.weight"])
    folded = before.model.fold_batch_norm().state_dict()
    trained = after.model.state_dict()
    assert trained.keys() == folded.keys()
    assert not torch.equal(trained["up4.0.0.weight"], folded["up4.0.0.weight"])
    assert [stage["steps"] for stage in after.earlier_stages] == [before.steps]
    assert after.settings["finetune"] == dataclasses.asdict(SETTINGS.completed(before.settings))


def test_the_trunk_is_frozen_while_the_refiner_warms_up(finetune, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    seen = {}

    def look(graph, read, places, is_known, settings, on_progress):
        seen["trunk"] = graph.model.network.state_dict()["up4.0.0.weight"].clone()
        seen["refiner"] = graph.refiner.state_dict()["layers.9.weight"].clone()
        warm_up(graph, read, places, is_known, settings, on_progress)
        assert torch.equal(graph.model.network.state_dict()["up4.0.0.weight"], seen["trunk"])
        assert not torch.equal(graph.refiner.layers[9].weight, seen["refiner"])
        raise Stop

    warm_up = finetune_run.warm_up
    monkeypatch.setattr(finetune_run, "warm_up", look)
    with pytest.raises(Stop):
        finetune(tmp_path)
    assert not seen["refiner"].any()  # it starts by changing nothing


def test_an_interrupted_run_goes_on_to_the_same_weights(finetune, finetuned, tmp_path):
    class Stop(Exception):
        pass

    parts = []

    def stop_in_the_second_epoch(what, done, total):
        parts.append(what)
        if (what, done) == ("finetune", 3):
            raise Stop

    with pytest.raises(Stop):
        finetune(tmp_path, report=stop_in_the_second_epoch)
    assert sorted(set(parts)) == ["finetune", "finetune: reading", "finetune: refiner alone"]
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=False)["global_step"] == 2
    parts.clear()
    resumed = torch.load(finetune(tmp_path, report=lambda *told: parts.append(told)),
                         weights_only=False)  # fmt: skip
    assert parts == [("finetune", 3, 4), ("finetune", 4, 4)]  # nothing is read twice
    unbroken = torch.load(finetuned, weights_only=False)["state_dict"]
    for name, value in unbroken.items():
        assert torch.equal(resumed["state_dict"][name], value), name


def test_impossible_settings_are_refused_together():
    with pytest.raises(ValueError, match="(?=.*steps must be at least 1)(?=.*learning_rate must)"):
        FinetuneSettings(steps=0, learning_rate=0.0)


def test_views_are_changed_as_in_the_training_before_unless_told_otherwise():
    before = {
        "augmentation": {"background_probability": 0.9, "sensor": {"resample": [0.35, 1.0]}},
        "reframing": Reframing(box_probability=0.8),
    }
    settings = FinetuneSettings().completed(before)
    assert settings.augmentation == Augmentation(
        background_probability=0.9, sensor=Sensor(resample=(0.35, 1.0))
    )
    assert settings.reframing == before["reframing"]
    # A finetuned checkpoint tells its own ones in the same way.
    assert FinetuneSettings().completed(dataclasses.asdict(settings)) == settings
    own = FinetuneSettings(augmentation=Augmentation(light=0.1)).completed(before)
    assert own.augmentation == Augmentation(light=0.1)
    assert FinetuneSettings().completed({}).augmentation.background_probability == 0.6
    with pytest.raises(ValueError, match="augmentation this version knows, got rain in it"):
        FinetuneSettings().completed({"augmentation": {"rain": 0.5}})


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
