"""Objects from mesh files: frame and size by hand, colours from the file, variation in bounds."""

import json

import numpy as np
import pytest

from kp3d_core.data.cameras import camera_by_name
from kp3d_core.data.generate import GenerateSettings, generate, procedural_source
from kp3d_core.data.memory import load_views
from kp3d_core.data.procedural import make_instance
from kp3d_core.objects.meshes.archive import open_mesh, save_mesh
from kp3d_core.objects.meshes.mesh_list import read_mesh_list
from kp3d_core.objects.meshes.reading import load_mesh, read_file
from kp3d_core.objects.meshes.source import MeshSource
from kp3d_core.objects.meshes.variation import Variation, vary
from kp3d_core.objects.meshes.writing import write_glb

# A box of 4 x 2 x 1 (z is its length, y its height), red, with a small blue box on its front (+z).
_CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
_QUADS = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
Z_FORWARD_Y_UP = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def obj_box(low, high, first):
    corners = [tuple(a + (b - a) * c for a, b, c in zip(low, high, corner, strict=True))
               for corner in _CORNERS]  # fmt: skip
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    for a, b, c, d in _QUADS:
        lines.append("f " + " ".join(str(first + k - 1) for k in (a, b, c, d)))
    return lines


@pytest.fixture(scope="module")
def mesh_list(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    lines = ["mtllib box.mtl", "usemtl red", *obj_box((-1, 0, -2), (1, 1, 2), 1)]
    lines += ["usemtl blue", *obj_box((-0.2, 0.4, 2), (0.2, 0.6, 2.4), 9)]
    (folder / "box.obj").write_text("\n".join(lines) + "\n")
    (folder / "box.mtl").write_text("newmtl red\nKd 0.8 0.1 0.1\nnewmtl blue\nKd 0.1 0.1 0.8\n")
    entry = {"category": "car", "files": ["box.obj"], "R_kp3d_from_file": Z_FORWARD_Y_UP}
    listed = [
        {**entry, "train_ok": True, "source": "hand"},
        {**entry, "train_ok": False, "licence": "GPL-2"},
    ]
    (folder / "list.json").write_text(json.dumps({"meshes": listed}))
    return folder / "list.json"


@pytest.fixture(scope="module")
def box(mesh_list):
    return load_mesh(read_mesh_list(mesh_list, "car", split="train").entries[0])


def test_mesh_stands_in_the_object_frame_in_model_units(box):
    # Length 4.4 along x spans [-1, 1]; width 2 and height 1 shrink by the same 2.2.
    assert box.bounds == pytest.approx(
        np.array([[-1, -1 / 2.2, -0.5 / 2.2], [1, 1 / 2.2, 0.5 / 2.2]])
    )
    blue = next(i for i, m in enumerate(box.materials) if m.base_color[2] > 0.5)
    front = box.vertices[box.faces[box.material_ids == blue].ravel()]
    assert front[:, 0].min() == pytest.approx((2 - 0.2) / 2.2)  # the small box is at the front


def test_colours_come_from_the_file_and_normals_are_unit(box):
    colors = sorted(tuple(np.round(m.base_color, 1)) for m in box.materials)
    assert colors == [pytest.approx((0.1, 0.1, 0.8)), pytest.approx((0.8, 0.1, 0.1))]
    assert np.linalg.norm(box.corner_normals, axis=-1) == pytest.approx(1, abs=1e-6)


def test_variation_stretches_within_bounds_and_repaints(box):
    rng = np.random.default_rng(0)
    varied = [vary(box, Variation(stretch=0.1, deformation=0.0), rng) for _ in range(40)]
    ratio = np.array([np.ptp(m.bounds[:, 1]) / np.ptp(m.bounds[:, 0]) for m in varied]) * 1.1 * 2
    assert 0.9 / 1.1 <= ratio.min() < 0.92
    assert 1.08 < ratio.max() <= 1.1 / 0.9
    assert all(np.abs(m.bounds).max() == pytest.approx(1) for m in varied)
    red = next(i for i, m in enumerate(box.materials) if m.base_color[0] > 0.5)
    colors = np.array([m.materials[red].base_color for m in varied])
    assert colors.std(0).min() > 0.15
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_sources_mix_and_repeat(mesh_list):
    meshes = read_mesh_list(mesh_list, "car", split="train")
    source = MeshSource(meshes, share=0.3, others=procedural_source)
    kinds = [source("car", seed).kind for seed in range(60)]
    assert 9 <= kinds.count("hand:box") <= 28  # 18 expected
    again = source("car", kinds.index("hand:box")).mesh
    assert np.array_equal(again.vertices, source("car", kinds.index("hand:box")).mesh.vertices)


def test_meshes_for_measuring_stay_as_they_are_one_after_the_other(mesh_list, box):
    entry = json.loads(mesh_list.read_text())["meshes"][1]
    path = mesh_list.parent / "two.json"
    path.write_text(json.dumps({"meshes": [entry, {**entry, "source": "other"}]}))
    source = MeshSource(read_mesh_list(path, "car", split="test"), variation=None)
    objects = [source("car", seed) for seed in (20_000_000, 20_000_001, 20_000_002)]
    assert [o.kind for o in objects] == [":box", "other:box", ":box"]
    assert np.array_equal(objects[0].mesh.vertices, box.vertices)
    assert all(
        np.array_equal(a.base_color, b.base_color)
        for a, b in zip(objects[0].mesh.materials, box.materials, strict=True)
    )


def test_a_mixed_set_is_rendered_and_read(mesh_list, tmp_path):
    source = MeshSource(
        read_mesh_list(mesh_list, "car", split="train"), share=0.5, others=procedural_source
    )
    settings = GenerateSettings(
        "car", "train", 6, views=2, image_size=32, camera=camera_by_name("eye_level")
    )
    manifest = generate(settings, tmp_path / "set", source=source)
    assert source.digest in manifest.generator
    views = load_views(tmp_path / "set", 32)
    assert "hand:box" in views.kinds
    assert any(":" not in kind for kind in views.kinds)
    assert (views.rgba[..., 3] > 0).any(axis=(2, 3)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R_kp3d_from_file": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "must be a proper rotation"),
        ({"R_kp3d_from_file": [[1, 0, 0], [0, 1, 0], [0, 0, 1e999]]}, "must be a proper rotation"),
        ({"files": ["gone.obj"]}, "must exist, 1 do not: .*gone.obj"),
        (
            {"category": "chair"},
            "must hold meshes of the category 'car' for the split 'train', got none",
        ),
        (
            {"train_ok": False},
            "must hold meshes of the category 'car' for the split 'train', got none",
        ),
    ],
)
def test_lists_that_cannot_be_used_are_refused(mesh_list, tmp_path, change, message):
    entry = json.loads(mesh_list.read_text())["meshes"][0] | change
    path = mesh_list.parent / f"{tmp_path.name}.json"
    path.write_text(json.dumps({"meshes": [entry]}))
    with pytest.raises(ValueError, match=message):
        read_mesh_list(path, "car", split="train")


def test_meshes_for_measuring_never_train(mesh_list):
    (train,) = read_mesh_list(mesh_list, "car", split="train").entries
    (test,) = read_mesh_list(mesh_list, "car", split="test").entries
    assert (train.splits, test.splits) == (("train",), ("val", "test"))


def test_a_file_that_is_no_mesh_is_named(mesh_list):
    (mesh_list.parent / "broken.glb").write_bytes(b"no mesh")
    entry = json.loads(mesh_list.read_text())["meshes"][0] | {"files": ["broken.glb"]}
    path = mesh_list.parent / "broken.json"
    path.write_text(json.dumps({"meshes": [entry]}))
    with pytest.raises(ValueError, match="broken.glb cannot be read as a mesh"):
        load_mesh(read_mesh_list(path, "car", split="train").entries[0])


def test_shine_and_panes_of_materials_come_through_files(tmp_path):
    mesh = make_instance("car", 3).mesh
    write_glb(mesh, tmp_path / "car.glb")
    read, _ = read_file(tmp_path / "car.glb", tmp_path)
    save_mesh(read, tmp_path / "car.npz")
    again = open_mesh(tmp_path / "car.npz")
    assert len(again.materials) > 5
    for material in again.materials:
        source = mesh.materials[int(material.name.split("_")[0])]
        assert material.metallic == pytest.approx(source.metallic, abs=1e-6)
        assert material.roughness == pytest.approx(source.roughness, abs=1e-6)
        assert material.opacity == pytest.approx(source.opacity, abs=0.01)
        if source.texture_opacity is not None:
            assert np.array_equal(material.texture_opacity, source.texture_opacity)


@pytest.mark.parametrize(
    ("lines", "roughness", "opacity"),
    [
        ("Ns 0\nd 0.3", 1.0, 0.3),
        ("Ns 198\nTr 0.25", 0.316, 0.75),
        ("Ns 20\nd 0", 0.549, 1.0),  # invisible: a slip
        ("", 0.549, 1.0),
    ],
)
def test_materials_of_obj_files_have_their_shine_and_opacity(tmp_path, lines, roughness, opacity):
    (tmp_path / "a.mtl").write_text(f"newmtl glass\nKd 0.2 0.3 0.4\n{lines}\n")
    (tmp_path / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl glass\nf 1 2 3\n"
    )
    mesh, _ = read_file(tmp_path / "a.obj", tmp_path)
    assert mesh.materials[0].roughness == pytest.approx(roughness, abs=1e-3)
    assert mesh.materials[0].opacity == pytest.approx(opacity)
    assert mesh.materials[0].metallic == 0
