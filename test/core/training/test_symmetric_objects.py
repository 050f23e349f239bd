"""Bottles, from a category file to the data of a training: nothing on the way asks for a yaw."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import yaml

from kp3d_core.data.cameras import RobotCamera, look_along
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.memory import load_views, with_symmetry
from kp3d_core.data.procedural.primitives import MeshBuilder, lathe, plain
from kp3d_core.geometry.rotation import make_transform
from kp3d_core.geometry.symmetry import canonical_pose
from kp3d_core.objects.meshes.archive import save_mesh
from kp3d_core.objects.meshes.mesh_list import read_mesh_list
from kp3d_core.objects.meshes.source import MeshSource
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render
from kp3d_core.training.datamodule import ShardDataModule


def bottle(seed):
    """A solid of revolution with shoulders, a neck, a label and a cap."""
    rng = np.random.default_rng(seed)
    wide = rng.uniform(0.22, 0.45)
    neck, shoulder = wide * rng.uniform(0.25, 0.5), rng.uniform(0.45, 0.7)
    top = rng.uniform(shoulder + 0.15, 0.92)
    profile = [(0, 0), (0.95 * wide, 0), (wide, 0.04), (wide, 0.3), (wide, shoulder),
               ((wide + neck) / 2, (shoulder + top) / 2), (neck, top), (1.2 * neck, top + 0.001),
               (1.2 * neck, 1), (0, 1)]  # fmt: skip
    body, label, cap = (plain(name, rng.random(3)) for name in ("body", "label", "cap"))
    builder = MeshBuilder()
    builder.add(lathe(profile, 48), [body] * 3 + [label] + [body] * 2 + [cap] * 3)
    return builder.build()[0]


@pytest.fixture(scope="module")
def category(tmp_path_factory):
    """A category file as `kp3d import` writes it."""
    folder = tmp_path_factory.mktemp("category")
    entries = []
    for number, split in enumerate(["train"] * 12 + ["val"] * 4 + ["test"] * 4):
        save_mesh(bottle(number), folder / f"{number:04d}.npz")
        entries.append({"category": "bottle", "files": [f"{number:04d}.npz"], "split": split,
                        "R_kp3d_from_file": np.eye(3).tolist()})  # fmt: skip
    content = {"category": "bottle", "symmetry": "full", "meshes": entries}
    (folder / "bottle.yaml").write_text(yaml.safe_dump(content))
    return folder / "bottle.yaml"


def _render(category, split, output, instances, **settings):
    meshes = read_mesh_list(category, "bottle", split)
    source = MeshSource(meshes) if split == "train" else MeshSource(meshes, variation=None)
    settings = GenerateSettings("bottle", split, instances, **settings)
    generate(settings, output / split, source=source)
    return output / split


def test_a_bottle_looks_as_its_canonical_pose_says():
    mesh, K = pack(bottle(0)), np.array([[90.0, 0, 31.5], [0, 90, 31.5], [0, 0, 1]])
    seen = []
    for azimuth in (0.2, 1.9, 4.0):
        towards = np.array([np.cos(azimuth), np.sin(azimuth), 0.5])
        T = make_transform(look_along(-towards), np.array([0.1, 0.05, 3.0]))
        image = render(mesh, K, T, 64, 64).rgb.astype(float)
        as_told = render(mesh, K, canonical_pose(T, "full"), 64, 64).rgb.astype(float)
        assert np.abs(image - as_told).mean() < 1.0  # of 255; the bottle has 48 sides
        seen.append(canonical_pose(T, "full"))
    np.testing.assert_allclose(seen, [seen[0]] * 3, atol=1e-12)


def test_the_symmetry_travels_with_the_data(category, tmp_path):
    for split in ("train", "val"):
        _render(category, split, tmp_path, 2, views=4, camera=RobotCamera(), image_size=32)
    assert read_manifest(tmp_path / "train").symmetry == "full"
    views = load_views(tmp_path / "train", 32)
    assert views.symmetry == "full"
    # The x axis of each points towards the camera, neither left nor right.
    np.testing.assert_allclose(views.T_camera_object[..., 0, 0], 0, atol=1e-6)
    assert (views.T_camera_object[..., 0, 1] > 0).all()
    # The larger one counts, whether the set or a model knows it.
    for known, said, expected in (("full", "none", "full"), ("none", "two-fold", "two-fold")):
        told = with_symmetry(dataclasses.replace(views, symmetry=known), said)
        assert told.symmetry == expected
    assert (told.T_camera_object[..., 0, 0] >= 0).all()
    folders = str(tmp_path / "train"), str(tmp_path / "val")
    data = ShardDataModule(*folders, 32, source_size=32)
    data.setup("fit")
    assert data.symmetry == "full"

    path = tmp_path / "val" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"symmetry": "none"}))
    with pytest.raises(ValueError, match="must be of one symmetry, got full and none"):
        ShardDataModule(*folders, 32, source_size=32).setup("fit")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"symmetry": "half"}))
    with pytest.raises(ValueError, match="wrong symmetry 'half'"):
        read_manifest(tmp_path / "val")


def test_a_wrong_symmetry_in_a_list_is_refused(category, tmp_path):
    path = category.parent / "wrong.yaml"
    path.write_text(category.read_text().replace("full", "half"))
    with pytest.raises(ValueError, match="must be one of none, two-fold, full, got 'half'"):
        read_mesh_list(path, "bottle", "train")
