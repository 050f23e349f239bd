"""Damaged and hostile recipes and category files: read, or refused in words, in little time."""

import os
import time

import numpy as np
import pytest
import yaml

from kp3d_core.data.objects import object_category
from kp3d_core.data.procedural import make_instance
from kp3d_core.objects.meshes.archive import save_mesh
from kp3d_core.recipe.settings import read_recipe
from kp3d_core.yaml_files import read_yaml

CASES = int(os.environ.get("KP3D_FUZZ_CASES", "60"))
"""For each kind; `scripts/fuzz.sh 10000` takes more."""
RECIPE = """\
category: cup.yaml
name: cup
data: {train: {instances: 6, views: 6, camera: eye_level, light: varied}, image_size: 64}
train:
- steps: 4
  presets: [photographs]
  model: {initial_weights: car_lite_64, anchor_semi_axes: [0.8, 0.6, 0.6]}
  data: {input_size: 64, steps_per_epoch: 2}
finetune: {steps: 3, warmup_steps: 20, learning_rate: 1.2e-4, augmentation: {light: 0.2}}
package: {depth: false, pairs: 3, surface: {objects: 4}}
"""
PARTS = (
    *(
        b"- ",
        b": ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'",
        b'"',
        b"&a ",
        b"*a",
        b"? ",
        b"<<: ",
        b"| \n",
        b"%",
    ),
    *(b"!!python/name:os.system ", b"!!binary ", b"null", b"~", b".nan", b"1e999", b"-1", b"0x"),
    *(b"9" * 30, b"\x00", b"\xff", b"\n", b"  ", b"2001-99-99", b"/", b"..", b"true", b"1:1:1"),
)


@pytest.fixture
def folder(tmp_path):
    """A good recipe of a good category."""
    entries = []
    for number, split in enumerate(("train", "val", "test")):
        entry = {"category": "cup", "files": ["0.npz"], "source": f"{number}", "split": split}
        entries.append(entry | {"R_kp3d_from_file": np.eye(3).tolist()})
    save_mesh(make_instance("mug", 0).mesh, tmp_path / "0.npz")
    text = yaml.safe_dump({"symmetry": "none", "meshes": entries}, default_flow_style=None)
    (tmp_path / "cup.yaml").write_text(text)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def damaged(content, rng):
    """Content with bytes changed, cut out or repeated, and pieces of YAML put in."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(data) + 1))
        choice = rng.random()
        if choice < 0.2 and at < len(data):
            data[at] = int(rng.integers(256))
        elif choice < 0.4:
            del data[at : at + int(rng.integers(1, 30))]
        elif choice < 0.5:
            data[at:at] = data[at : at + int(rng.integers(1, 50))]
        else:
            data[at:at] = PARTS[rng.integers(len(PARTS))]
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "read"),
    [("recipe.yaml", read_recipe), ("cup.yaml", lambda p: object_category(str(p)))],
)
def test_damaged_files_are_refused_in_words(folder, name, read):
    path = folder / name
    sound, rng, good = path.read_bytes(), np.random.default_rng(0), 0
    read(path)
    for _ in range(CASES):
        path.write_bytes(damaged(sound, rng))
        try:
            read(path)
        except ValueError as error:
            assert len(str(error)) > 20  # noqa: PT017 - which of many are refused is not known
            continue
        good += 1
    assert good < 0.8 * CASES  # the damage does damage


def test_aliases_depth_and_size_are_bounded(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 30)]
    texts = {
        "\n".join(lines): "aliases are not read",
        "[" * 100_000: "nested too deep",
        "a: " + "x" * 2000: "a file of over 0 MB",
        "!!python/object/apply:os.system [ls]": "could not determine a constructor",
        "a: 2001-99-99": "month must be in",
    }
    for text, reason in texts.items():
        path.write_text(text)
        started = time.monotonic()
        with pytest.raises(ValueError, match=reason):
            read_yaml(path, 1000 if "x" * 2000 in text else 1 << 20)
        assert time.monotonic() - started < 60
