"""Damaged and hostile checkpoints and files of weights: refused in words, and no code is run."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from kp3d_core.models import create_model
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.checkpoint_files import read_checkpoint
from kp3d_core.training.weight_files import write_weights

CASES = int(os.environ.get("KP3D_FUZZ_CASES", "60"))
"""For each format; `scripts/fuzz.sh 10000` takes more."""
SETTINGS = {"network": "fast", "num_keypoints": 3, "width": 0.05, "folded": False}


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("bomb_went_off",)


def content(**changes):
    torch.manual_seed(0)
    weights = create_model(**SETTINGS).state_dict()
    return {
        "hyper_parameters": SETTINGS,
        "state_dict": {f"model.{name}": value for name, value in weights.items()},
        "global_step": 7,
    } | changes


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A small file of each format."""
    folder = tmp_path_factory.mktemp("samples")
    torch.save(content(), folder / "good.ckpt")
    weights = create_model(**SETTINGS).state_dict()
    facts = {"data": {}, "steps": 7, "earlier_stages": []}
    write_weights(folder / "good.safetensors", weights, SETTINGS, **facts)
    return folder


def test_good_ones_are_read(samples):
    for path in samples.iterdir():
        trained = load_checkpoint(path)
        assert (trained.steps, trained.settings["network"]) == (7, "fast")


def damaged(data, rng):
    """Content with bytes changed, cut out, repeated or cut off; half of the time near its start."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        end = len(data) if rng.random() < 0.5 else min(len(data), 3000)
        at = int(rng.integers(end)) if end else 0
        choice = rng.random()
        if choice < 0.5 and data:
            data[at] = int(rng.integers(256))
        elif choice < 0.7:
            del data[at : at + int(rng.integers(1, 200))]
        elif choice < 0.9:
            data[at:at] = data[at : at + int(rng.integers(1, 50))]
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
@pytest.mark.filterwarnings("ignore")  # what torch says of damaged tensors
def test_damaged_files_are_refused_in_words(samples, tmp_path, suffix):
    sound = (samples / f"good.{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(CASES):
        path = tmp_path / f"damaged.{suffix}"
        path.write_bytes(damaged(sound, rng))
        try:
            load_checkpoint(path)
        except ValueError:
            refused += 1
    assert refused > CASES / 2  # the damage does damage


def test_pickles_that_run_code_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content(extra=Bomb()), "bomb.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(content(extra=Bomb())))
    for name in ("bomb.ckpt", "plain.ckpt"):
        with pytest.raises(ValueError, match=rf"must be a whole file .*{name}"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "bomb_went_off").exists()


def test_archives_that_grow_are_refused(samples, tmp_path):
    with zipfile.ZipFile(samples / "good.ckpt") as good:
        parts = {item.filename: good.read(item) for item in good.infolist()}
    path = tmp_path / "grows.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(ValueError, match="it is compressed"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyper_parameters": SETTINGS | {"width": 1e6}}, "must hold the weights of its network"),
        ({"hyper_parameters": SETTINGS | {"width": 1e300}}, "must tell what its network is made"),
        ({"hyper_parameters": {"network": "fast"}}, "must tell what its network is made of"),
        ({"hyper_parameters": 3}, "must be a file made by `kp3d train`"),
        ({"state_dict": {}}, "must hold the weights of its network, got other ones"),
        ({"state_dict": None}, "must be a file made by `kp3d train`"),
        ({"refiner": {"settings": {"width": 10**9}, "state_dict": {}}}, "made of, got .*missing"),
        ({"refiner": 1}, "must hold a whole refiner"),
    ],
)
def test_what_does_not_belong_together_takes_no_memory(tmp_path, changes, message):
    torch.save(content(**changes), tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match=message):
        load_checkpoint(tmp_path / "odd.ckpt")
