"""Rendered instances in WebDataset tar shards: one sample per instance.

A sample with V views of instance seed s has the key `<category>-<s, 13 digits>` and the members

- `meta.json`: category, seed, kind, and the landmarks [model units, object frame]. Landmarks are
  ground truth for evaluation and for supervised baselines; what discovers keypoints never sees
  them.
- `cameras.npz`: K (V, 3, 3) [px], T_camera_object (V, 4, 4) [model units], distance (V,) and
  mode (V,), see `kp3d_core.data.cameras.View`.
- `vNNN.rgba.png`: view NNN; RGB premultiplied (the object over black), alpha = anti-aliased
  coverage.
- `vNNN.mask.png`: 1 bit per pixel, set where the ray through the pixel centre meets the object.

`webdataset.WebDataset(path).decode("rgb8")` reads them too. A shard is valid only when the manifest
beside it lists it.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.manifest import Manifest, ShardEntry, read_manifest
from kp3d_core.files import sha256_of


@dataclass(frozen=True)
class InstanceRecord:
    """All views of one instance; V views of S x S pixels."""

    category: str
    seed: int
    kind: str
    """Variant of the category, such as "van"."""
    landmarks: dict[str, NDArray[np.float64]]
    """Named points (3,) in the object frame [model units]."""
    rgba: NDArray[np.uint8]
    """(V, S, S, 4), RGB premultiplied by the anti-aliased coverage in alpha."""
    mask: NDArray[np.bool_]
    """(V, S, S), exact at pixel centres."""
    K: NDArray[np.float64]
    """(V, 3, 3) [px]."""
    T_camera_object: NDArray[np.float64]
    """(V, 4, 4) [model units]."""
    distance: NDArray[np.float64]
    """(V,), depth of the object's origin [model units]."""
    mode: tuple[str, ...]
    """Sampling that made each view."""

    @property
    def key(self) -> str:
        """Unique name of the sample within its category."""
        return f"{self.category}-{self.seed:013d}"


def encode_instance(record: InstanceRecord) -> list[tuple[str, bytes]]:
    """Return the tar members (name, content) of one sample; equal records give equal bytes."""
    meta = {
        "category": record.category,
        "seed": record.seed,
        "kind": record.kind,
        "landmarks": {name: np.asarray(p).tolist() for name, p in record.landmarks.items()},
    }
    cameras = io.BytesIO()
    np.savez(
        cameras,
        K=record.K,
        T_camera_object=record.T_camera_object,
        distance=record.distance,
        mode=np.array(record.mode),
    )
    members = [
        ("meta.json", json.dumps(meta).encode()),
        ("cameras.npz", cameras.getvalue()),
    ]
    for view, (rgba, mask) in enumerate(zip(record.rgba, record.mask, strict=True)):
        members.append((f"v{view:03d}.rgba.png", _encode_rgba(rgba)))
        members.append((f"v{view:03d}.mask.png", _encode_mask(mask)))
    return [(f"{record.key}.{name}", content) for name, content in members]


def write_members(tar: tarfile.TarFile, members: list[tuple[str, bytes]]) -> None:
    """Append members without time, owner or other traces of the machine."""
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o644
        tar.addfile(info, io.BytesIO(content))


def open_tar(stream: BinaryIO) -> tarfile.TarFile:
    """Open a shard for writing, always in the same tar dialect."""
    return tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT)


class ShardDataset:
    """The finished instances of a rendered folder, in the order of their seeds."""

    def __init__(self, folder: str | Path, verify: bool = False) -> None:
        """Read the manifest and check that its shards are there.

        Args:
            folder: output folder of `kp3d render`.
            verify: also compare every shard's SHA-256 with the manifest (reads all of them).
        """
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        problems = [p for shard in self.manifest.shards if (p := self._problem(shard, verify))]
        if problems:
            raise ValueError(
                f"{self.folder} does not match its manifest: " + "; ".join(problems) + ". "
                "Render the set again into an empty folder."
            )

    def __len__(self) -> int:
        """Return the number of instances."""
        return self.manifest.samples

    def __iter__(self) -> Iterator[InstanceRecord]:
        """Yield all instances."""
        for path in self.shard_paths:
            yield from read_shard(path)

    @property
    def shard_paths(self) -> list[Path]:
        """Paths of the valid shards, for other readers of WebDataset files."""
        return [self.folder / shard.name for shard in self.manifest.shards]

    def _problem(self, shard: ShardEntry, verify: bool) -> str | None:
        path = self.folder / shard.name
        if not path.is_file():
            return f"{shard.name} is missing"
        if path.stat().st_size != shard.bytes:
            return f"{shard.name} has {path.stat().st_size} bytes instead of {shard.bytes}"
        if verify and sha256_of(path) != shard.sha256:
            return f"{shard.name} has another SHA-256 than listed"
        return None


def read_instances(folder: str | Path, verify: bool = False) -> Iterator[InstanceRecord]:
    """Yield the instances of a rendered folder; see `ShardDataset`."""
    return iter(ShardDataset(folder, verify))


def read_shard(path: Path) -> Iterator[InstanceRecord]:
    """Yield the instances of one shard."""
    with tarfile.open(path) as tar:
        key = ""
        members: dict[str, bytes] = {}
        for info in tar:
            new_key, _, name = info.name.partition(".")
            if members and new_key != key:
                yield _decode_instance(path, key, members)
                members = {}
            content = tar.extractfile(info)
            assert content is not None
            key, members[name] = new_key, content.read()
        if members:
            yield _decode_instance(path, key, members)


def _decode_instance(path: Path, key: str, members: dict[str, bytes]) -> InstanceRecord:
    try:
        meta: dict[str, Any] = json.loads(members["meta.json"])
        with np.load(io.BytesIO(members["cameras.npz"])) as arrays:
            cameras = {name: arrays[name] for name in arrays.files}
        names = [f"v{view:03d}" for view in range(len(cameras["K"]))]
        return InstanceRecord(
            category=meta["category"],
            seed=meta["seed"],
            kind=meta["kind"],
            landmarks={name: np.array(p) for name, p in meta["landmarks"].items()},
            rgba=np.stack([_decode_rgba(members[f"{name}.rgba.png"]) for name in names]),
            mask=np.stack([_decode_mask(members[f"{name}.mask.png"]) for name in names]),
            K=cameras["K"],
            T_camera_object=cameras["T_camera_object"],
            distance=cameras["distance"],
            mode=tuple(map(str, cameras["mode"])),
        )
    except KeyError as error:
        raise ValueError(
            f"Sample {key} of {path} lacks {error}. Check the set with verify=True and render it "
            "again if it is damaged."
        ) from error


def _encode_rgba(rgba: NDArray[np.uint8]) -> bytes:
    bgra = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), np.uint8)
    return _png(bgra, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])


def _encode_mask(mask: NDArray[np.bool_]) -> bytes:
    return _png(mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])


def _png(image: NDArray[np.uint8], options: list[int]) -> bytes:
    ok, encoded = cv2.imencode(".png", image, options)
    assert ok
    return encoded.tobytes()


def _decode_png(content: bytes, flag: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    if image is None:
        raise ValueError(
            "A PNG image was expected in a shard, got damaged data. Check the set with "
            "verify=True and render it again if it is damaged."
        )
    return np.asarray(image, np.uint8)


def _decode_rgba(content: bytes) -> NDArray[np.uint8]:
    bgra = _decode_png(content, cv2.IMREAD_UNCHANGED)
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)


def _decode_mask(content: bytes) -> NDArray[np.bool_]:
    return _decode_png(content, cv2.IMREAD_GRAYSCALE) > 127
