"""Shards, manifests and archives of strangers: refused in words, within the memory meant."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.shards import ShardDataset, open_tar, read_shard, write_members
from kp3d_core.npz import read_npz
from kp3d_core.objects.meshes.archive import open_mesh, save_mesh

CASES = int(os.environ.get("KP3D_FUZZ_CASES", "150"))
SHARD = "shard-000000.tar"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    generate(GenerateSettings("car", "val", 1, views=2, image_size=16), folder)
    return folder


def _members(rendered):
    with tarfile.open(rendered / SHARD) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]


def _write(path, members):
    with path.open("wb") as stream, open_tar(stream) as tar:
        write_members(tar, members)
    return path


def damaged(content: bytes, rng) -> bytes:
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        at, choice = int(rng.integers(max(len(data), 1))), rng.random()
        if choice < 0.6 and data:
            data[at] = int(rng.integers(256))
        elif choice < 0.8:
            del data[at : at + int(rng.integers(1, 200))]
        else:
            data[at:at] = rng.bytes(8)
    return bytes(data)


def test_damaged_shards_are_refused_in_words(rendered, tmp_path):
    """The whole file, or one member in a whole file."""
    rng = np.random.default_rng(0)
    content, members = (rendered / SHARD).read_bytes(), _members(rendered)
    assert len(list(read_shard(rendered / SHARD))) == 1
    refused = 0
    for case in range(CASES):
        path = tmp_path / "x.tar"
        if case % 3 == 0:
            path.write_bytes(damaged(content, rng))
        else:
            k = int(rng.integers(len(members)))
            changed = [*members]
            changed[k] = (members[k][0], damaged(members[k][1], rng))
            _write(path, changed)
        try:
            for record in read_shard(path):
                assert record.rgba.shape == (2, 16, 16, 4)
        except ValueError:
            refused += 1
    assert refused > CASES / 4


def test_damaged_manifests_and_meshes_are_refused_in_words(rendered, tmp_path):
    from kp3d_core.data.procedural import make_instance

    rng = np.random.default_rng(1)
    shutil.copytree(rendered, tmp_path / "set")
    manifest = (rendered / "manifest.json").read_bytes()
    save_mesh(make_instance("mug", 0).mesh, tmp_path / "mug.npz")
    assert len(open_mesh(tmp_path / "mug.npz").faces)
    mesh = (tmp_path / "mug.npz").read_bytes()
    refused = 0
    for _ in range(CASES):
        (tmp_path / "set" / "manifest.json").write_bytes(damaged(manifest, rng))
        (tmp_path / "x.npz").write_bytes(damaged(mesh, rng))
        for read in (
            lambda: ShardDataset(tmp_path / "set"),
            lambda: open_mesh(tmp_path / "x.npz"),
        ):
            try:
                read()
            except ValueError:
                refused += 1
    assert refused > CASES / 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "../secret.tar"), ("name", "/etc/passwd"), ("samples", "9"), ("bytes", None)],
)
def test_a_manifest_leads_nowhere_else(rendered, tmp_path, key, value):
    content = json.loads((rendered / "manifest.json").read_text())
    content["shards"][0][key] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"is damaged: wrong {key}"):
        read_manifest(tmp_path)


def _npz(shape: str, data: bytes = b"", descr: str = "'<f8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("K.npy", array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_npz("(1000000000000, 3)"), "1000000000000, 3"),  # NumPy would allocate it
        (_npz("(1,)", b"\0" * 8, "'|O'"), "object"),  # a pickle
        (_npz("(8000000,)", b"\0" * 64_000_000), "it would take 64 MB"),  # 64 kB in the file
        (b"PK\x03\x04", "no archive of arrays"),
    ],
)
def test_bombs_and_pickles_in_archives_are_refused(rendered, tmp_path, content, reason):
    with pytest.raises(ValueError, match=reason):
        read_npz(content, 1 << 20)
    members = [(n, content if n.endswith("cameras.npz") else c) for n, c in _members(rendered)]
    with pytest.raises(ValueError, match=f"Sample .* is damaged: .*{reason}"):
        list(read_shard(_write(tmp_path / "x.tar", members)))


def test_archives_are_read_as_numpy_writes_them():
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "s": np.array(["paper", "dolly"]),
        "e": np.zeros((0, 3), np.float32),
        "n": np.array(3),
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    read = read_npz(stream.getvalue(), 1 << 20)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def _bomb(side):
    """A PNG file of a few kB that is gigabytes when decoded."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_images_that_would_take_gigabytes_are_not_decoded(rendered, tmp_path):
    bomb = _bomb(60_000)
    members = [(n, bomb if n.endswith(".png") else c) for n, c in _members(rendered)]
    with pytest.raises(ValueError, match="is damaged: images of .*60000"):
        list(read_shard(_write(tmp_path / "x.tar", members)))


def test_only_plain_files_of_an_uncompressed_shard_are_read(rendered, tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(rendered / SHARD)
    with pytest.raises(ValueError, match="must be a shard"):
        list(read_shard(path))
    for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE):
        with path.open("wb") as stream, open_tar(stream) as tar:
            link = tarfile.TarInfo("car-0.meta.json")
            link.type, link.linkname = kind, "/etc/passwd"
            tar.addfile(link)
        with pytest.raises(ValueError, match="must hold plain files"):
            list(read_shard(path))
    info = tarfile.TarInfo("car-0.meta.json")
    info.size = 1 << 40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
    with pytest.raises(ValueError, match="must hold plain files|must be a shard"):
        list(read_shard(path))
