"""The data set that the authors of KeypointNet published, converted into shards of this project.

A folder holds `NNNN.tfrecord`; `dev.txt` and `test.txt` with the names of the records held out;
`projection.txt`, a 4 x 4 OpenGL projection; and `job.txt`, a table with the columns tfrecord, id,
num (pairs of the object) and args. An example is a pair of views of one object: `img0` and `img1`,
PNG images with alpha, and `mv0`, `mv1` with their inverses `mvi0`, `mvi1`, OpenGL modelviews row by
row. The pairs of an object follow one another.

Frames. Theirs: object x forward, y up; camera looks along -z, y up; image coordinates (u, v) from
-1 to 1, v up, at pixel k of n: (2 k + 1) / n - 1. Ours: `kp3d_core.data.cameras`.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import PaperCamera, camera_to_dict
from kp3d_core.data.generate import Samples, write_shards
from kp3d_core.data.manifest import Manifest
from kp3d_core.data.shards import InstanceRecord, encode_instance, read_png_header
from kp3d_core.data.splits import SPLITS, first_seed
from kp3d_core.data.tfrecords import Features, count_records, read_examples

FloatArray = NDArray[np.float64]

MAX_IMAGE_SIZE = 512
_PAIRS = 100
_FLIP = np.diag([1.0, -1.0, -1.0])
"""OpenGL's camera to the optical frame, and back."""
_R_THEIRS_OURS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Object: x forward, y left, z up to x forward, y up, z right."""


@dataclass(frozen=True)
class RecordFolder:
    """What the text files of a folder say, and what its records hold."""

    folder: Path
    focal_ndc: tuple[float, float]
    """P[0, 0] and P[1, 1]."""
    scale: float
    """Half of an object's longest dimension, 1 in model units: theirs are smaller if under 1."""
    pairs: int
    """Of each object."""
    splits: dict[str, list[Path]]
    """Records of each split."""
    objects: dict[Path, int]
    """Number of objects of each record."""
    image_size: int


def read_record_folder(folder: Path, pairs: int | None = None) -> RecordFolder:
    """Read what a folder of the authors holds.

    Args:
        folder: as it is unpacked.
        pairs: consecutive pairs that show one object; as `job.txt` says, or 100, if None.

    Raises:
        ValueError: a file is missing or wrong.
    """
    records = sorted(folder.glob("*.tfrecord")) if folder.is_dir() else []
    if not records:
        raise ValueError(
            f"{folder} must hold the TFRecords of KeypointNet (0000.tfrecord, ...), got none. "
            "Unpack one of their archives, such as cars_with_keypoints.zip."
        )
    focal = _read_projection(folder / "projection.txt")
    told, scale = _read_job(folder / "job.txt")
    pairs = told if pairs is None else pairs
    if not 1 <= pairs <= 500:
        raise ValueError(f"pairs per object must be between 1 and 500, got {pairs}.")
    splits: dict[str, list[Path]] = {split: [] for split in SPLITS}
    held = {
        **dict.fromkeys(_read_names(folder / "dev.txt"), "val"),
        **dict.fromkeys(_read_names(folder / "test.txt"), "test"),
    }
    objects = {}
    for path in records:
        count = count_records(path)
        if count == 0 or count % pairs:
            raise ValueError(
                f"{path} must hold a multiple of {pairs} pairs, those of one object, got {count}. "
                "Fetch it again, or say --pairs-per-object 1 to take every pair for itself."
            )
        objects[path] = count // pairs
        splits[held.get(path.stem, "train")].append(path)
    image_size = _size_of(_bytes(next(read_examples(records[0])), "img0", records[0]), records[0])
    return RecordFolder(folder, focal, scale, pairs, splits, objects, image_size)


def convert_records(
    source: RecordFolder,
    category: str,
    split: str,
    output: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Write the records of a split as shards, or finish what was interrupted.

    Args:
        source: what `read_record_folder` returned.
        category: what the objects are, such as "car".
        split: "train", "val" (the authors' dev) or "test".
        output: folder of the split.
        on_progress: told (objects done, objects in total).

    Raises:
        ValueError: a record is damaged, or the folder holds something else.
    """
    records = source.splits[split]
    total = sum(source.objects[path] for path in records)
    camera = PaperCamera(
        distance=30.0 / source.scale,
        fov_deg=math.degrees(2 * math.atan(1 / source.focal_ndc[0])),
        jitter=0.2 / source.scale,
    )
    listing = "".join(f"{path.name} {path.stat().st_size}\n" for path in records)
    wanted = Manifest(
        category=category,
        split=split,
        camera=camera_to_dict(camera),
        light="overhead",
        image_size=source.image_size,
        views=2 * source.pairs,
        first_seed=first_seed(split, total),
        seed_offset=0,
        instances_per_shard=max(1, 3200 // (2 * source.pairs)),
        generator=f"TFRecords {hashlib.sha256(listing.encode()).hexdigest()[:16]}",
        renderer="Blender, by the authors of KeypointNet",
        instances=total,
    )

    def samples(first: int, end: int) -> Samples:
        skipped, seed = first - wanted.first_seed, first
        for path in records:
            count = source.objects[path]
            if skipped >= count:
                skipped -= count
                continue
            examples = read_examples(path, skipped * source.pairs)
            for number in range(skipped, count):
                pairs = [next(examples) for _ in range(source.pairs)]
                where = f"{path}, object {number}"
                yield encode_instance(_instance(pairs, source, category, seed, where))
                seed += 1
            skipped = 0

    return write_shards(output, wanted, samples, on_progress)


def camera_of_modelview(modelview: FloatArray, scale: float = 1.0) -> FloatArray:
    """T_camera_object (4, 4) of ours [model units] of an OpenGL modelview (4, 4) of theirs.

    Args:
        modelview: object (x forward, y up) to camera (looking along -z, y up).
        scale: half of the longest dimension of their objects.
    """
    T = np.eye(4)
    T[:3, :3] = _FLIP @ modelview[:3, :3] @ _R_THEIRS_OURS
    T[:3, 3] = _FLIP @ modelview[:3, 3] / scale
    return T


def _instance(
    pairs: list[Features], source: RecordFolder, category: str, seed: int, where: str
) -> InstanceRecord:
    views = [(pair, k) for pair in pairs for k in "01"]
    T = np.stack([_camera(pair, k, source.scale, where) for pair, k in views])
    rgba = np.stack([_image(_bytes(pair, f"img{k}", where), source, where) for pair, k in views])
    size = source.image_size
    K = np.eye(3)
    K[[0, 1], [0, 1]] = np.array(source.focal_ndc) * size / 2
    K[:2, 2] = (size - 1) / 2
    return InstanceRecord(
        category=category,
        seed=seed,
        kind=category,
        landmarks={},
        rgba=rgba,
        mask=rgba[..., 3] > 127,
        K=np.repeat(K[None], len(views), axis=0),
        T_camera_object=T,
        distance=T[:, 2, 3],
        mode=("paper",) * len(views),
    )


def _camera(pair: Features, k: str, scale: float, where: str) -> FloatArray:
    modelview, inverse = _matrix(pair, f"mv{k}", where), _matrix(pair, f"mvi{k}", where)
    R = modelview[:3, :3]
    rigid = np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0
    if not rigid or not np.allclose(modelview @ inverse, np.eye(4), atol=1e-2):
        raise ValueError(f"mv{k} of {where} must be rigid and mvi{k} its inverse, they are not.")
    if modelview[2, 3] >= 0:
        raise ValueError(f"mv{k} of {where} must have the object before the camera (z < 0).")
    return camera_of_modelview(modelview, scale)


def _matrix(pair: Features, name: str, where: str) -> FloatArray:
    values = pair.get(name)
    if not isinstance(values, np.ndarray) or values.size != 16 or not np.isfinite(values).all():
        raise ValueError(f"{name} of {where} must be 16 finite numbers, it is not.")
    return values.astype(np.float64).reshape(4, 4)


def _bytes(pair: Features, name: str, where: str | Path) -> bytes:
    content = pair.get(name)
    if not isinstance(content, bytes):
        raise ValueError(f"{name} of {where} must be a PNG image, got features {sorted(pair)}.")
    return content


def _size_of(png: bytes, where: str | Path) -> int:
    """Side of a square RGBA image, read from its header alone."""
    try:
        width, height, depth, kind = read_png_header(png)
    except ValueError as error:
        raise ValueError(f"The images of {where} must be PNG files: {error}") from error
    if width != height or not 8 <= width <= MAX_IMAGE_SIZE or (depth, kind) != (8, 6):
        raise ValueError(
            f"The images of {where} must be square, 8 to {MAX_IMAGE_SIZE} px, RGBA of 8 bits, got "
            f"{width} x {height}, {depth} bits, PNG colour type {kind}."
        )
    return width


def _image(png: bytes, source: RecordFolder, where: str) -> NDArray[np.uint8]:
    """RGBA, premultiplied: PNG files hold colours that are not."""
    if _size_of(png, where) != source.image_size:
        raise ValueError(f"All images must be {source.image_size} px wide, one of {where} is not.")
    bgra = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if bgra is None or bgra.shape != (source.image_size, source.image_size, 4):
        raise ValueError(f"An image of {where} is damaged. Fetch the record again.")
    rgba = np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), np.uint8).copy()
    alpha = rgba[..., 3:].astype(np.float32) / 255
    rgba[..., :3] = np.round(rgba[..., :3] * alpha)
    return rgba


def _read_projection(path: Path) -> tuple[float, float]:
    try:
        values = [float(word) for word in _read_text(path).split()]
    except ValueError:
        values = []
    if len(values) != 16 or not (values[0] > 0 and values[5] > 0 and np.isfinite(values).all()):
        raise ValueError(
            f"{path} must hold the 16 numbers of an OpenGL projection, it is missing or does not. "
            "It belongs to the authors' archive."
        )
    return values[0], values[5]


def _read_job(path: Path) -> tuple[int, float]:
    """Pairs of each object, and the scale of all."""
    if not path.is_file():
        return _PAIRS, 1.0
    try:
        rows = list(csv.DictReader(_read_text(path).splitlines(), skipinitialspace=True))
        pairs = {int(row["num"]) for row in rows}
        words = [(row.get("args") or "").replace("=", " ").split() for row in rows]
        scales = {float(w[w.index("--scale") + 1]) if "--scale" in w else 1.0 for w in words}
    except (KeyError, ValueError, IndexError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} must be a table with the columns tfrecord, id, num and args, got {error!r}."
        ) from error
    usable = len(pairs) == len(scales) == 1 and 1 <= min(pairs) <= 500 and 0.01 < min(scales) < 100
    if not usable:
        raise ValueError(
            f"{path} must give all objects the same number of pairs (1 to 500) and the same scale, "
            f"got {sorted(pairs)[:5]} and {sorted(scales)[:5]}."
        )
    return pairs.pop(), scales.pop()


def _read_names(path: Path) -> list[str]:
    """Names of records, without suffix; none if there is no such file."""
    if not path.is_file():
        return []
    return [Path(line.strip()).stem for line in _read_text(path).splitlines() if line.strip()]


def _read_text(path: Path) -> str:
    """Content of a small text file; "" if it is missing.

    Raises:
        ValueError: it is too large, or no text.
    """
    if not path.is_file():
        return ""
    if path.stat().st_size > 16 << 20:
        raise ValueError(f"{path} must be under 16 MB.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text, got {error}. Fetch it again.") from error
