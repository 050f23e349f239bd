"""`kp3d import`: good meshes become a category, each damaged one is named with its reason."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from kp3d_core.data.procedural import make_instance
from kp3d_core.objects.meshes.archive import open_mesh
from kp3d_core.objects.meshes.mesh_list import read_mesh_list
from kp3d_core.objects.meshes.reading import load_mesh
from kp3d_core.objects.meshes.writing import write_glb

sys.path.insert(0, str(Path(__file__).parent))
from odd_files import BOX_FACES, box, write_damaged, write_odd  # noqa: E402


@pytest.fixture(scope="module")
def odd_import(kp3d, tmp_path_factory):
    """Output, document and folder of an import of damaged, odd and good files."""
    base = tmp_path_factory.mktemp("import")
    folder = base / "meshes"
    folder.mkdir()
    reasons, notes = write_damaged(folder), write_odd(folder)
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
        (folder / f"{name}.obj").write_text(box((0, 0, 0), (4, 1, 2)) + BOX_FACES)
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
    (tmp_path / "m" / "a.obj").write_text(box((0, 0, 0), (1, 1, 1)) + BOX_FACES)
    arguments = ["import", "box", "--meshes", tmp_path / "m", "-o", tmp_path / "box.yaml", *options]
    assert message in kp3d(*arguments, code=1)
    assert not (tmp_path / "box.yaml").exists()


def test_a_folder_without_meshes_is_told(kp3d, tmp_path):
    assert "must hold meshes (.obj .glb" in kp3d("import", "box", "--meshes", tmp_path, code=1)


def test_an_earlier_import_is_kept(kp3d, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.obj").write_text(box((0, 0, 0), (1, 1, 2)) + BOX_FACES)
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
