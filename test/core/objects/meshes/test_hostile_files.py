"""Damaged files of every format: a ValueError each time, nothing else, and no other file."""

from __future__ import annotations

import os

import numpy as np
import pytest
import trimesh

from kp3d_core.objects.meshes.isolation import MeshReader
from kp3d_core.objects.meshes.reading import read_file
from kp3d_core.objects.meshes.resolver import TolerantResolver

FORMATS = ("obj", "glb", "ply", "stl", "dae", "off")
CASES = int(os.environ.get("KP3D_FUZZ_CASES", "40"))
"""For each format; `scripts/fuzz.sh 10000` takes more."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A good file of each format."""
    folder = tmp_path_factory.mktemp("samples")
    ball = trimesh.creation.icosphere(1)
    for suffix in FORMATS:
        ball.export(folder / f"ball.{suffix}")
    return folder


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Content with bytes changed, cut out, repeated, or numbers made huge."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 8))):
        at = int(rng.integers(len(data))) if data else 0
        choice = rng.random()
        if choice < 0.4 and data:
            data[at] = int(rng.integers(256))
        elif choice < 0.6:
            del data[at : at + int(rng.integers(1, 200))]
        elif choice < 0.8:
            data[at:at] = data[at : at + int(rng.integers(1, 50))]
        elif choice < 0.9:
            data[at:at] = b"99999999999"
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("ignore")  # what NumPy says of damaged numbers
def test_damaged_files_are_refused_in_words(samples, tmp_path, suffix):
    content = (samples / f"ball.{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    read = 0
    for case in range(CASES):
        path = tmp_path / f"{case}.{suffix}"
        path.write_bytes(damaged(content, rng))
        try:
            mesh, _ = read_file(path, tmp_path)
        except ValueError:
            continue
        assert len(mesh.faces)
        read += 1
    assert read < CASES  # the damage does damage


def test_no_name_leads_out_of_the_folder(tmp_path):
    inside = tmp_path / "root" / "models"
    inside.mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "root" / "images").mkdir()
    (tmp_path / "root" / "images" / "Wood.PNG").write_bytes(b"wood")
    resolver = TolerantResolver(inside, tmp_path / "root")
    for name in (
        "../../secret.png",
        str(tmp_path / "secret.png"),
        "link.png",
        "..\\..\\secret.png",
    ):
        with pytest.raises(FileNotFoundError):
            resolver.get(name)
    # As ShapeNet, other machines and other systems write it.
    for name in ("../images/wood.png", "C:\\art\\wood.png", "-s 1 1 1 wood.png"):
        assert resolver.get(name) == b"wood"
    assert len(resolver.missing) == 4


def test_a_file_that_needs_too_much_memory_costs_only_itself(samples, tmp_path):
    # 200 million faces of a few bytes each as text would not fit into the bound.
    header = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 900000000\nproperty float x\n"
        "property float y\nproperty float z\nelement face 0\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    bomb = tmp_path / "bomb.ply"
    with bomb.open("wb") as stream:
        stream.write(header.encode())
        stream.truncate(900_000_000)  # a hole: takes no space
    with MeshReader(memory_bytes=2 << 30, timeout_s=60.0) as reader:
        with pytest.raises(ValueError, match="memory|process|cannot be read|must hold|took over"):
            reader.read(bomb, tmp_path, tmp_path / "bomb.npz")
        good = tmp_path / "ball.obj"
        good.write_bytes((samples / "ball.obj").read_bytes())
        assert reader.read(good, tmp_path, tmp_path / "ball.npz") == ["no colours: grey"]


def test_a_file_that_takes_too_long_costs_only_itself(samples, tmp_path):
    good = tmp_path / "ball.obj"
    good.write_bytes((samples / "ball.obj").read_bytes())
    with MeshReader(timeout_s=0.01) as reader:  # shorter than a process needs to start
        with pytest.raises(ValueError, match="took over 0.01 s"):
            reader.read(good, tmp_path, tmp_path / "ball.npz")
