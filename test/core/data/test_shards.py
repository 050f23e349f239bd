"""Reading and writing of rendered sets, and what is said about damaged ones."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.shards import (
    InstanceRecord,
    ShardDataset,
    encode_instance,
    open_tar,
    read_shard,
    write_members,
)
from kp3d_core.files import atomic_writer, sha256_of

SETTINGS = GenerateSettings("car", "val", 3, views=2, image_size=24, instances_per_shard=2)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    generate(SETTINGS, folder)
    return folder


@pytest.fixture
def copy(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "set")


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def random_record(seed):
    rng = np.random.default_rng(seed)
    return InstanceRecord(
        category="car",
        seed=seed,
        kind="van",
        landmarks={"left_front_wheel": rng.normal(size=3)},
        rgba=rng.integers(0, 256, (3, 16, 16, 4), dtype=np.uint8),
        mask=rng.random((3, 16, 16)) > 0.5,
        K=rng.random((3, 3, 3)),
        T_camera_object=rng.random((3, 4, 4)),
        distance=rng.random(3),
        mode=("paper", "dolly", "paper"),
    )


def test_record_survives_a_shard_exactly(tmp_path):
    records = [random_record(seed) for seed in (5, 20_000_000)]
    path = tmp_path / "shard.tar"
    with path.open("wb") as stream, open_tar(stream) as tar:
        for record in records:
            write_members(tar, encode_instance(record))
    for record, back in zip(records, read_shard(path), strict=True):
        assert (back.category, back.seed, back.kind, back.mode) == (
            record.category,
            record.seed,
            record.kind,
            record.mode,
        )
        for name in ("rgba", "mask", "K", "T_camera_object", "distance"):
            assert np.array_equal(getattr(back, name), getattr(record, name)), name
            assert getattr(back, name).dtype == getattr(record, name).dtype
        landmark = back.landmarks["left_front_wheel"]
        assert np.array_equal(landmark, record.landmarks["left_front_wheel"])


def test_equal_records_give_equal_bytes():
    assert encode_instance(random_record(1)) == encode_instance(random_record(1))


def test_dataset_yields_the_instances_in_order(rendered):
    dataset = ShardDataset(rendered, verify=True)
    records = list(dataset)
    assert len(dataset) == len(records) == 3
    assert [r.seed for r in records] == [10_000_000, 10_000_001, 10_000_002]
    assert records[0].key == "car-0000010000000"
    assert records[0].rgba.shape == (2, 24, 24, 4)
    assert records[0].mask.shape == (2, 24, 24)
    assert len(records[0].landmarks) >= 12
    assert [r.key for r in ShardDataset(rendered)] == [r.key for r in records]


def test_colour_is_premultiplied_and_mask_lies_within_coverage(rendered):
    for record in ShardDataset(rendered):
        alpha = record.rgba[..., 3]
        assert not record.rgba[alpha == 0].any()
        assert (alpha[record.mask] > 0).all()
        assert record.mask.any(axis=(1, 2)).all()


# webdataset leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_the_shards(rendered):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    paths = [str(path) for path in ShardDataset(rendered).shard_paths]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8"))
    records = list(ShardDataset(rendered))
    assert [s["__key__"] for s in samples] == [r.key for r in records]
    assert samples[1]["meta.json"]["seed"] == records[1].seed
    assert np.array_equal(samples[2]["v001.rgba.png"], records[2].rgba[1, ..., :3])


def test_only_listed_shards_count(copy):
    (copy / "shard-000002.tar").write_bytes(b"left by a killed run")
    manifest = read_manifest(copy)
    assert len(list(ShardDataset(copy, verify=True))) == 3
    edit_manifest(copy, shards=json.loads((copy / "manifest.json").read_text())["shards"][:1])
    assert len(list(ShardDataset(copy))) == manifest.shards[0].samples == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "manifest.json").unlink(), "holds no manifest.json, so it is not a folder"),
        (lambda d: (d / "manifest.json").write_text("{"), "is not valid JSON"),
        (lambda d: edit_manifest(d, format="coco"), "is not the manifest of a rendered data set"),
        (lambda d: edit_manifest(d, format_version=9), "must have format_version 1, got 9"),
        (
            lambda d: edit_manifest(d, extra=1),
            r"damaged: missing keys \[\], unknown keys \['extra'",
        ),
        (lambda d: edit_manifest(d, shards=[{"name": "x"}]), "damaged: wrong shard entry"),
        (lambda d: (d / "shard-000001.tar").unlink(), "shard-000001.tar is missing"),
        (lambda d: (d / "shard-000000.tar").write_bytes(b"x"), "has 1 bytes instead of"),
    ],
)
def test_damage_is_named(copy, damage, message):
    damage(copy)
    with pytest.raises(ValueError, match=message):
        ShardDataset(copy)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist or is no folder. Make one with: kp3d"):
        ShardDataset(tmp_path / "nowhere")


def test_changed_bytes_are_found_by_verification(copy):
    path = copy / "shard-000000.tar"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    ShardDataset(copy)
    with pytest.raises(ValueError, match="shard-000000.tar has another SHA-256 than listed"):
        ShardDataset(copy, verify=True)


def test_sample_without_its_cameras_is_named(tmp_path):
    path = tmp_path / "shard.tar"
    members = [m for m in encode_instance(random_record(1)) if "cameras" not in m[0]]
    with path.open("wb") as stream, open_tar(stream) as tar:
        write_members(tar, members)
    with pytest.raises(ValueError, match="Sample car-0000000000001 of .* lacks 'cameras.npz'"):
        list(read_shard(path))


def test_damaged_image_is_refused(tmp_path):
    path = tmp_path / "shard.tar"
    members = [(n, b"?" if "rgba" in n else c) for n, c in encode_instance(random_record(1))]
    with path.open("wb") as stream, open_tar(stream) as tar:
        write_members(tar, members)
    with pytest.raises(ValueError, match="PNG image was expected"):
        list(read_shard(path))


def test_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "file"

    def write_half():
        with atomic_writer(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with atomic_writer(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    # From coreutils' sha256sum.
    assert sha256_of(path) == "5d5766cf2d78701614200418ee1450690d9af12c84d52545e4802f001ad53099"


def test_manifest_gives_the_camera_back(rendered):
    assert read_manifest(rendered).camera_settings == SETTINGS.camera
    wanted = replace(read_manifest(rendered), views=7)
    assert read_manifest(rendered).differences(wanted) == ["views is 2 there and 7 now"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its open files
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_webdataset_library_reads_the_shards(rendered):
    webdataset = pytest.importorskip("webdataset")
    ours = list(ShardDataset(rendered))
    paths = [str(path) for path in ShardDataset(rendered).shard_paths]
    theirs = list(webdataset.WebDataset(paths, shardshuffle=False))
    assert [sample["__key__"] for sample in theirs] == [record.key for record in ours]
    png = np.frombuffer(theirs[0]["v000.rgba.png"], np.uint8)
    image = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image[..., [2, 1, 0, 3]], ours[0].rgba[0])
