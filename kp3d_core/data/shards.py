"""Rendered instances in WebDataset tar shards: one sample per instance.

A sample with V views of instance seed s has the key `<category>-<s, 13 digits>` and the members

- `meta.json`: category, seed, kind, and the landmarks [model units, object frame]. Landmarks are
  ground truth for evaluation and for supervised baselines; what discovers keypoints never sees
  them.
- `cameras.npz`: K (V, 3, 3) [px], T_camera_object (V, 4, 4) [model units], distance (V,) and
  mode (V,), see `kp3d_core.data.cameras.View`.
- `vNNN.rgba.png`: view NNN; RGB premultiplied (the object over black), alpha = anti-aliased
  coverage. In light "photographs", times opacity, and with the shadow on the ground: black, at most
  120 of 255.
- `vNNN.mask.png`: 1 bit per pixel, set where the ray through the pixel centre meets the object.

`webdataset.WebDataset(path).decode("rgb8")` reads them too. A shard is valid only when the manifest
beside it lists it.
"""

from __future__ import annotations

import io
import json
import struct
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
from kp3d_core.npz import read_npz

_MAX_BYTES = 8 << 30
"""Most that the decoded images of an instance may take."""
_MAX_CAMERAS_BYTES = 1 << 20
_AGAIN = "Check the set with verify=True and render it again if it is damaged."


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


def read_shard(path: Path) -> Iterator[InstanceRecord]:
    """Yield the instances of one shard.

    Raises:
        ValueError: it is damaged, or would take more memory than an instance may.
    """
    members = _read_members(path)
    while True:
        try:
            sample = next(members, None)
            record = None if sample is None else _decode_instance(path, *sample)
        except (tarfile.TarError, OSError, EOFError, MemoryError, OverflowError) as error:
            raise ValueError(f"{path} must be a shard, got {error}. {_AGAIN}") from error
        if record is None:
            return
        yield record


def read_png_header(content: bytes) -> tuple[int, int, int, int]:
    """Width, height [px], bits and colour type of a PNG image, before anything is decoded.

    Raises:
        ValueError: it is none.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR" or len(content) < 33:
        raise ValueError(f"A PNG image was expected, got damaged data. {_AGAIN}")
    width, height, bits, kind = struct.unpack(">IIBB", content[16:26])
    return width, height, bits, kind


def _read_members(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield key and members of each sample."""
    left = path.stat().st_size
    with tarfile.open(path, "r:") as tar:  # never decompressed: shards are not compressed
        key = ""
        members: dict[str, bytes] = {}
        for info in tar:
            new_key, _, name = info.name.partition(".")
            if members and new_key != key:
                yield key, members
                members = {}
            left -= info.size
            content = tar.extractfile(info) if info.isreg() and left >= 0 else None
            if content is None or info.issparse():
                raise ValueError(f"{path} must hold plain files, {info.name!r} is none. {_AGAIN}")
            key, members[name] = new_key, content.read()
        if members:
            yield key, members


def _decode_instance(path: Path, key: str, members: dict[str, bytes]) -> InstanceRecord:
    try:
        meta: dict[str, Any] = json.loads(members["meta.json"])
        cameras = read_npz(members["cameras.npz"], _MAX_CAMERAS_BYTES)
        count = len(cameras["K"])
        shapes = {"K": (count, 3, 3), "T_camera_object": (count, 4, 4), "distance": (count,)}
        wrong = [name for name, shape in shapes.items() if not _is_float(cameras[name], shape)]
        if wrong or cameras["mode"].shape != (count,) or not 1 <= count <= 1000:
            raise ValueError(f"cameras.npz of {count} views is inconsistent {wrong}")
        names = [f"v{view:03d}" for view in range(count)]
        images = [members[f"{name}.{kind}.png"] for name in names for kind in ("rgba", "mask")]
        _check_size(images)
        return InstanceRecord(
            category=str(meta["category"]),
            seed=int(meta["seed"]),
            kind=str(meta["kind"]),
            landmarks={
                str(name): np.array(p, np.float64).reshape(3)
                for name, p in meta["landmarks"].items()
            },
            rgba=np.stack([_decode_rgba(image) for image in images[::2]]),
            mask=np.stack([_decode_mask(image) for image in images[1::2]]),
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
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"Sample {key} of {path} is damaged: {error} {_AGAIN}") from error


def _is_float(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    return array.shape == shape and array.dtype == np.float64 and bool(np.isfinite(array).all())


def _check_size(images: list[bytes]) -> None:
    """Refuse images of unequal sizes, and more of them than memory is meant for."""
    sizes = {read_png_header(image)[:2] for image in images}
    width, height = min(sizes)
    if len(sizes) > 1 or width != height or 5 * len(images) * width * height > 2 * _MAX_BYTES:
        raise ValueError(f"images of {sorted(sizes)[:3]} px, {len(images)} of them.")


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
    channels = 4 if flag == cv2.IMREAD_UNCHANGED else 1
    if (
        image is None
        or image.dtype != np.uint8
        or image.size != channels * np.prod(image.shape[:2])
    ):
        raise ValueError(f"A PNG image was expected, got damaged data. {_AGAIN}")
    return np.asarray(image, np.uint8)


def _decode_rgba(content: bytes) -> NDArray[np.uint8]:
    bgra = _decode_png(content, cv2.IMREAD_UNCHANGED)
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8)


def _decode_mask(content: bytes) -> NDArray[np.bool_]:
    return _decode_png(content, cv2.IMREAD_GRAYSCALE) > 127
