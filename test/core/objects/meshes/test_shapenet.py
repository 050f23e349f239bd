"""Folders as ShapeNetCore has them: names, frames, textures, empty models, the official split."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from kp3d_core.data.shards import ShardDataset
from kp3d_core.objects.meshes.archive import open_mesh
from kp3d_core.objects.meshes.shapenet import official_splits

SYNSET = "02958343"
# A body, a smaller box on the left of its front, in the object frame (x forward, y left, z up).
BOXES = (((-1.0, -0.4, -0.3), (1.0, 0.4, 0.2)), ((0.6, 0.4, -0.2), (0.9, 0.5, 0.1)))
FRAMES = {
    "v1": lambda x, y, z: (x, z, y),  # y up, x front, left and right exchanged
    "v2": lambda x, y, z: (-y, z, -x),  # y up, -z front
}
MATERIAL = "newmtl body\nKa 0 0 0\nKd 0.8 0.8 0.8\nd 0.498\nmap_Kd {}\n"


def _obj(frame, material="body"):
    """Two boxes with texture coordinates, written as ShapeNet writes them."""
    lines = ["mtllib model.mtl", "vt 0 0", "vt 3 0", "vt 3 3", f"usemtl {material}"]
    for k, (low, high) in enumerate(BOXES):
        corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
        for corner in corners:
            point = [a + (b - a) * c for a, b, c in zip(low, high, corner, strict=True)]
            lines.append("v {:.6f} {:.6f} {:.6f}".format(*frame(*point)))
        for face in ("1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4"):
            a, b, c, d = (int(index) + 8 * k for index in face.split())
            lines += [f"f  {a}/1 {b}/2 {c}/3", f"f  {a}/1 {c}/2 {d}/3"]
    return "\n".join(lines) + "\n"


def _write(folder, version, name, text=None, texture="texture0.jpg", mtl=MATERIAL):
    model = folder / SYNSET / name
    inside = model / "models" if version == "v2" else model
    file = "model_normalized.obj" if version == "v2" else "model.obj"
    (model / "images").mkdir(parents=True)
    inside.mkdir(exist_ok=True)
    (inside / file).write_text(_obj(FRAMES[version]) if text is None else text)
    (inside / "model.mtl").write_text(mtl.format(f"../images/{texture}"))
    red = np.full((16, 16, 3), (20, 20, 220), np.uint8)
    cv2.imwrite(str(model / "images" / "texture0.jpg"), red)
    return model


@pytest.fixture(scope="module", params=["v1", "v2"])
def imported(request, kp3d, tmp_path_factory):
    """Document, path and output of an import of a small ShapeNetCore."""
    version, base = request.param, tmp_path_factory.mktemp(request.param)
    root = base / f"ShapeNetCore.{version}"
    _write(root, version, "a" * 32)
    _write(root, version, "b" * 32, _obj(FRAMES[version], material="undefined"))
    _write(root, version, "c" * 32, texture="gone.jpg")
    truncated = _write(root, version, "d" * 32)
    jpeg = truncated / "images" / "texture0.jpg"
    jpeg.write_bytes(jpeg.read_bytes()[:200])
    _write(root, version, "e" * 32, text="# no vertices\n")
    (root / SYNSET / ("f" * 32) / "images").mkdir(parents=True)
    rows = [(name * 32, split) for name, split in zip("abc", ("test", "val", "train"), strict=True)]
    table = ["id,synsetId,subSynsetId,modelId,split"]
    table += [f"{k:06d},{SYNSET},{SYNSET},{name},{split}" for k, (name, split) in enumerate(rows)]
    (root / "all.csv").write_text("\n".join(table) + "\n")
    path = base / "car.yaml"
    text = kp3d("import", "car", "--meshes", root / SYNSET, "-o", path,
                "--convention", f"shapenet-{version}")  # fmt: skip
    return yaml.safe_load(path.read_text()), path, text


def test_objects_have_the_names_of_their_ids_and_empty_ones_are_named(imported):
    document, _, _ = imported
    assert [entry["source"] for entry in document["meshes"]] == [name * 32 for name in "abcd"]
    assert document["left_out"]["f" * 32] == "its folder holds no mesh"
    assert "must hold triangles" in document["left_out"]["e" * 32]
    assert len(document["left_out"]) == 2


def test_front_and_left_are_where_they_belong(imported):
    document, path, text = imported
    mesh = open_mesh(path.parent / document["meshes"][0]["files"][0])
    # The smaller box: what lies farther to the left than the body's left side.
    farthest_left = mesh.vertices[mesh.vertices[:, 1] > mesh.vertices[:, 1].max() - 1e-4]
    assert farthest_left[:, 0].min() > 0.5
    assert mesh.bounds[1] - mesh.bounds[0] == pytest.approx([2.0, 0.9, 0.5], abs=1e-4)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume == pytest.approx(2 * 0.8 * 0.5 + 0.3 * 0.1 * 0.3, rel=1e-4)
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fi,fci->fc", outward, mesh.corner_normals) > 0).all()
    assert ("exchanged" in text) == ("v1" in str(path))


def test_textures_beside_the_models_arrive_and_broken_ones_are_no_end(imported):
    document, path, _ = imported
    entries = {entry["source"][0]: entry for entry in document["meshes"]}
    textured = open_mesh(path.parent / entries["a"]["files"][0])
    (texture,) = [m.texture for m in textured.materials if m.texture is not None]
    assert texture.reshape(-1, 3).mean(axis=0) == pytest.approx([220, 20, 20], abs=12)
    assert np.ptp(textured.corner_uv) == 3.0  # tiled, not wrapped before interpolation
    assert any("gone.jpg" in note for note in entries["c"]["notes"])


def test_the_official_split_counts(imported):
    document, _, _ = imported
    splits = {entry["source"][0]: entry["split"] for entry in document["meshes"]}
    assert splits == {"a": "test", "b": "val", "c": "train", "d": "train"}
    assert "not in all.csv: for training" in document["meshes"][3]["notes"]


def test_the_same_model_in_a_second_synset_is_left_out(kp3d, tmp_path):
    for name in "abc":
        _write(tmp_path / "core", "v2", name * 32)
    twin = tmp_path / "core" / "02924116" / ("a" * 32)
    twin.parent.mkdir()
    (tmp_path / "core" / SYNSET / ("a" * 32)).rename(twin)
    _write(tmp_path / "core", "v2", "a" * 32)
    kp3d("import", "car", "--meshes", tmp_path / "core", "-o", tmp_path / "car.yaml",
         "--convention", "shapenet-v2")  # fmt: skip
    document = yaml.safe_load((tmp_path / "car.yaml").read_text())
    assert len(document["meshes"]) == 3
    (reason,) = document["left_out"].values()
    assert reason.startswith("it is the same model as 02924116/aaa")


def test_a_table_that_is_none_is_told(tmp_path):
    table = tmp_path / "all.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="must be ShapeNet's table of splits"):
        official_splits(tmp_path)
    table.write_text("modelId,split\nabc,training\n")
    with pytest.raises(ValueError, match="must be one of train, val, test, got 'training'"):
        official_splits(tmp_path)
    table.write_bytes(b"modelId,split\n\xff\xfe,train\n")
    with pytest.raises(ValueError, match="must be ShapeNet's table of splits"):
        official_splits(tmp_path)


def test_a_category_that_is_not_built_in_is_rendered_from_its_list(kp3d, tmp_path):
    for name in "abc":
        _write(tmp_path / "core", "v2", name * 32)
    path = tmp_path / "train_engine.yaml"
    kp3d("import", "train_engine", "--meshes", tmp_path / "core", "-o", path,
         "--convention", "shapenet-v2")  # fmt: skip
    text = kp3d("render", "--category", "train_engine", "--meshes", path, "--instances", 1,
                "--views", 2, "--size", 16, "--jobs", 1, "--output", tmp_path / "set")  # fmt: skip
    assert "1 instances x 2 views" in text
    (record,) = ShardDataset(tmp_path / "set")
    assert record.kind[:32] in [name * 32 for name in "abc"]
