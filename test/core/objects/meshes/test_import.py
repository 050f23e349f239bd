"""`kp3d import`: good meshes become a category, each damaged one is named with its reason."""

from __future__ import annotations

import json
import re
import struct

import numpy as np
import pytest
import yaml

from kp3d_core.data.procedural import make_instance
from kp3d_core.objects.meshes.archive import open_mesh
from kp3d_core.objects.meshes.mesh_list import read_mesh_list
from kp3d_core.objects.meshes.reading import load_mesh
from kp3d_core.objects.meshes.writing import write_glb

BOX_FACES = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"


def _box(low, high):
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    points = [[a + (b - a) * c for a, b, c in zip(low, high, k, strict=True)] for k in corners]
    return "".join(f"v {x} {y} {z}\n" for x, y, z in points)


def _damaged(folder):
    """Files that no object can be made of, by name with the reason that must be told."""
    box = _box((-1, -1, -1), (1, 1, 1))
    files = {
        "empty.obj": (b"", "must hold triangles"),
        "no_faces.obj": (box.encode(), "must hold triangles"),
        "text.glb": (b"this is no mesh", "cannot be read as a mesh"),
        "cut.glb": (b"glTF\x02\x00\x00\x00\xff\xff\x00\x00", "cannot be read as a mesh"),
        "text.ply": (b"ply\nformat ascii 1.0\nelement vertex 3\n", "cannot be read|must hold"),
        "liar.ply": (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\n"
            b"property float x\nproperty float y\nproperty float z\n"
            b"element face 1\nproperty list uchar int vertex_indices\nend_header\n",
            "cannot be read|memory|process|must hold",
        ),
        "cut.stl": (b"\x00" * 80 + struct.pack("<I", 4_000_000_000), "cannot be read|must hold"),
        "bad.dae": (b"<?xml version='1.0'?><COLLADA>", "cannot be read"),
        "flat.obj": (
            (_box((-1, -1, 0), (1, 1, 1e-9)) + BOX_FACES).encode(),
            "flat|usable triangles",
        ),
        "needle.obj": ((_box((-1, -1, 0), (1, 1, 1e-4)) + BOX_FACES).encode(), "it is flat"),
        "nan.obj": ((box.replace("-1", "nan") + BOX_FACES).encode(), "usable|triangles|read"),
        "scene.fbx": (b"Kaydara", r"\.fbx is not read: export it as GLB"),
        "part.step": (b"ISO-10303-21;", r"\.step is not read"),
    }
    two = box + BOX_FACES + _box((9, -1, -1), (11, 1, 1))
    for line in BOX_FACES.splitlines():
        two += "f " + " ".join(str(int(k) + 8) for k in line.split()[1:]) + "\n"
    files["two.obj"] = (two.encode(), "2 objects that stand apart")
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    outside = folder.parent / "outside.obj"
    outside.write_text(box + BOX_FACES)
    (folder / "link.obj").symlink_to(outside)
    reasons = {name: reason for name, (_, reason) in files.items()}
    return reasons | {"link.obj": "a link to a file outside"}


def _odd(folder):
    """Files that can be used, by name with the note that must be told."""
    red = "newmtl red\nKd 0.8 0.1 0.1\nmap_Kd C:\\textures\\gone.png\n"
    (folder / "red.mtl").write_text(red)
    uv = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    faces = "".join(
        "f " + " ".join(f"{k}/{i + 1}" for i, k in enumerate(line.split()[1:])) + "\n"
        for line in BOX_FACES.splitlines()
    )
    box = _box((-2, 0, -1), (2, 1, 1))
    inverted = "".join(
        "f " + " ".join(reversed(line.split()[1:])) + "\n" for line in BOX_FACES.splitlines()
    )
    texts = {
        "missing_texture.obj": (
            "mtllib red.mtl\nusemtl red\n" + box + uv + faces,
            "missing: .*gone",
        ),
        "no_colours.obj": (box + BOX_FACES, "no colours: grey"),
        "inside_out.obj": (box + inverted, "inside out: faces turned"),
        "doubled.obj": (box + BOX_FACES + BOX_FACES, "12 doubled faces left out"),
        "degenerate.obj": (box + BOX_FACES + "f 1 1 2\n", "1 degenerate face left out"),
        "micrometres.obj": (_box((-2e6, 0, -1e6), (2e6, 1e6, 1e6)) + BOX_FACES, "another unit"),
    }
    for name, (text, _) in texts.items():
        (folder / name).write_text(text)
    return {name: note for name, (_, note) in texts.items()}


@pytest.fixture(scope="module")
def odd_import(kp3d, tmp_path_factory):
    """Output, document and folder of an import of damaged, odd and good files."""
    base = tmp_path_factory.mktemp("import")
    folder = base / "meshes"
    folder.mkdir()
    reasons, notes = _damaged(folder), _odd(folder)
    for seed in range(2):
        write_glb(make_instance("mug", seed).mesh, folder / f"mug_{seed}.glb", 0.05)
    (folder / "readme.txt").write_text("not a mesh, and not spoken of")
    path = base / "categories" / "box.yaml"
    text = kp3d("import", "box", "--meshes", folder, "-o", path, "--up", "y", "--front", "x")
    return text, yaml.safe_load(path.read_text()), reasons, notes, path


def test_every_damaged_file_is_named_with_its_reason(odd_import):
    _, document, reasons, _, _ = odd_import
    left_out = document["left_out"]
    assert set(left_out) == set(reasons)
    for name, reason in reasons.items():
        assert re.search(reason, left_out[name]), (name, left_out[name])


def test_odd_files_are_mended_and_the_notes_say_how(odd_import):
    text, document, _, notes, _ = odd_import
    entries = {entry["source"]: entry for entry in document["meshes"]}
    assert set(entries) == {*notes, "mug_0.glb", "mug_1.glb"}
    for name, note in notes.items():
        said = "; ".join(entries[name]["notes"])
        assert re.search(note, said), (name, said)
    assert "8 meshes used, 15 left out" in text


def test_meshes_lie_normalised_in_the_object_frame(odd_import):
    _, document, _, _, path = odd_import
    for entry in document["meshes"]:
        mesh = open_mesh(path.parent / entry["files"][0])
        assert np.abs(mesh.bounds).max() == pytest.approx(1.0, abs=1e-6)
        assert mesh.bounds.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    # The box is 4 x 1 x 2 in x, y, z of a file whose y is up: 4 long, 2 wide, 1 high.
    box = next(e for e in document["meshes"] if e["source"] == "no_colours.obj")
    size = np.ptp(open_mesh(path.parent / box["files"][0]).bounds, axis=0)
    assert size == pytest.approx([2.0, 1.0, 0.5], abs=1e-6)
    inverted = next(e for e in document["meshes"] if e["source"] == "inside_out.obj")
    mesh = open_mesh(path.parent / inverted["files"][0])
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    assert np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) > 0


def test_every_split_has_meshes_and_the_list_is_read_by_rendering(odd_import):
    _, _, _, _, path = odd_import
    names = {}
    for split in ("train", "val", "test"):
        names[split] = {entry.source for entry in read_mesh_list(path, "box", split).entries}
    assert [len(names[split]) for split in ("train", "val", "test")] == [6, 1, 1]
    assert not names["train"] & names["test"]
    entry = read_mesh_list(path, "box", "train").entries[0]
    assert np.abs(load_mesh(entry).bounds).max() == pytest.approx(1.0, abs=1e-6)


def test_exported_mugs_come_back_as_they_were(kp3d, tmp_path):
    kp3d("export-meshes", "--category", "mug", "--instances", "4", "-o", tmp_path / "glb")
    text = kp3d("import", "mug", "--meshes", tmp_path / "glb", "-o", tmp_path / "mug.yaml")
    document = yaml.safe_load((tmp_path / "mug.yaml").read_text())
    assert "comparing with the built-in mug" in document["orientation"]
    assert "Confirm it by eye" in text
    assert document["symmetry"] == "none"
    for entry in document["meshes"]:
        original = make_instance("mug", int(entry["source"].split("_")[1].split(".")[0]))
        mesh = open_mesh(tmp_path / entry["files"][0])
        # The handle is in front again, and nothing moved by more than the rounding of the file.
        assert mesh.bounds == pytest.approx(original.mesh.bounds, abs=1e-4)
        colors = sorted(tuple(np.round(m.base_color, 1)) for m in mesh.materials)
        used = np.unique(original.mesh.material_ids)
        expected = sorted(tuple(np.round(original.mesh.materials[k].base_color, 1)) for k in used)
        np.testing.assert_allclose(colors, expected, atol=0.11)  # 8 bits, rounded
    assert (tmp_path / "mug_sheets" / "sheet_1.png").exists()


def test_files_can_be_turned_and_left_out_by_hand(tmp_path):
    from typer.testing import CliRunner

    from kp3d_core.cli.main import app

    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.obj").write_text(_box((0, 0, 0), (4, 1, 2)) + BOX_FACES)
    arguments = ["import", "box", "--meshes", str(folder), "-o", str(tmp_path / "box.yaml"),
                 "--convention", "shapenet-v2", "--interactive"]  # fmt: skip
    result = CliRunner().invoke(app, arguments, input="\nl\nq\nx\n")
    assert result.exit_code == 0, result.output
    document = yaml.safe_load((tmp_path / "box.yaml").read_text())
    assert document["left_out"] == {"c.obj": "left out by hand"}
    sizes = [
        np.ptp(open_mesh(tmp_path / entry["files"][0]).bounds, axis=0).round(3).tolist()
        for entry in document["meshes"]
    ]
    # Front is -z of the file, where the box is 2 long; turned to its left, 4.
    assert sizes == [[1.0, 2.0, 0.5], [2.0, 1.0, 0.5]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--up", "q", "--front", "x"], "up must be one of x -x y -y z -z, got 'q'"),
        (["--up", "y", "--front", "-y"], "up and front must be different axes"),
        (["--front", "x"], "front needs up beside it"),
        (["--convention", "maya"], "convention must be one of gltf, shapenet-v1"),
        (["--symmetry", "half"], "symmetry must be one of none, two-fold, full"),
        (["--meshes", "gone"], "meshes must be a folder, got gone"),
    ],
)
def test_wrong_options_get_one_sentence(kp3d, tmp_path, options, message):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.obj").write_text(_box((0, 0, 0), (1, 1, 1)) + BOX_FACES)
    arguments = ["import", "box", "--meshes", tmp_path / "m", "-o", tmp_path / "box.yaml", *options]
    assert message in kp3d(*arguments, code=1)
    assert not (tmp_path / "box.yaml").exists()


def test_a_folder_without_meshes_is_told(kp3d, tmp_path):
    assert "must hold meshes (.obj .glb" in kp3d("import", "box", "--meshes", tmp_path, code=1)


def test_an_earlier_import_is_kept(kp3d, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.obj").write_text(_box((0, 0, 0), (1, 1, 2)) + BOX_FACES)
    arguments = ["import", "box", "--meshes", tmp_path / "m", "-o", tmp_path / "box.yaml"]
    kp3d(*arguments)
    before = (tmp_path / "box.yaml").read_bytes()
    assert "is there already. Pass --overwrite" in kp3d(*arguments, code=1)
    assert (tmp_path / "box.yaml").read_bytes() == before
    assert "With fewer than three meshes" in kp3d(*arguments, "--overwrite")


def test_a_damaged_archive_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", names=np.array([{"a": 1}], dtype=object))
    (tmp_path / "b.npz").write_bytes(b"no archive")
    (tmp_path / "c.npz").write_text(json.dumps({}))
    for name in "abc":
        with pytest.raises(ValueError, match=rf"{name}\.npz must be a mesh written by"):
            open_mesh(tmp_path / f"{name}.npz")
