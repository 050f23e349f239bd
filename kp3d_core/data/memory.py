"""A rendered set held in memory, and batches of it that depend on nothing but a seed and a number.

Rendered sets are small (a thousand objects of 24 views at 64 x 64 take 0.4 GB) and decoding PNG
files in every pass costs more than the network's step, so the images are decoded once: into memory,
or, where a set is larger, into a file that is mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.decoded import new_images, open_folder, require_memory, save_others
from kp3d_core.data.manifest import Manifest
from kp3d_core.data.shards import ShardDataset
from kp3d_core.data.sharing import Share
from kp3d_core.files import exclusive_lock, replaced_folder
from kp3d_core.geometry.symmetry import SYMMETRIES, canonical_pose


@dataclass(frozen=True)
class ViewSet:
    """Views of I objects, V each, resized to S x S."""

    rgba: NDArray[np.uint8]
    """(I, V, S, S, 4), RGB premultiplied by coverage."""
    K: NDArray[np.float32]
    """(I, V, 3, 3) of the resized images [px]."""
    T_camera_object: NDArray[np.float32]
    """(I, V, 4, 4) [model units]."""
    keys: tuple[str, ...]
    """Name of each object."""
    category: str
    training_focal_px: float
    """Focal length f0 of the training camera at S pixels."""
    training_distance: float
    """Distance d0 of the training camera [model units]."""
    kinds: tuple[str, ...] = ()
    """Variant of each object, such as "van"."""
    landmark_names: tuple[str, ...] = ()
    """Names that all objects have in common, L of them."""
    symmetry: str = "none"
    """Of the objects about z. Of the poses that are equally right, `T_camera_object` holds the one
    of `geometry.symmetry.canonical_pose`."""
    landmarks: NDArray[np.float32] | None = None
    """(I, L, 3) in the object frame [model units]; for evaluation and supervised baselines only."""

    @property
    def size(self) -> int:
        """Side of the images S [px]."""
        return self.rgba.shape[2]


def resize_view(
    rgba: NDArray[np.uint8], K: NDArray[np.float64], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Area-average a square view to `size`, with the intrinsics that belong to the result."""
    factor = size / rgba.shape[0]
    resized = rgba if factor == 1 else cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA)
    K = K.copy()
    K[:2, :2] *= factor
    K[:2, 2] = (K[:2, 2] + 0.5) * factor - 0.5  # pixel centres, not corners, are at integers
    return np.asarray(resized, dtype=np.uint8), K


def load_views(
    folder: str | Path,
    size: int,
    max_objects: int | None = None,
    cache: str | Path | None = None,
) -> ViewSet:
    """Decode a rendered folder and resize its views to `size` x `size`.

    It takes little more memory than the result, into which the objects are decoded one by one.

    Args:
        folder: made by `kp3d render`.
        size: side of the images [px].
        max_objects: read the first objects only, at most so many.
        cache: folder to decode into instead of memory, once; later calls only open it.

    Raises:
        ValueError: not a rendered folder, empty, rendered smaller than `size`, with objects of
            unequal numbers of views, or too large for the memory.
    """
    dataset = ShardDataset(folder)
    if len(dataset) == 0:
        raise ValueError(f"{folder} holds no instance. Render some with `kp3d render`.")
    manifest = dataset.manifest
    if manifest.image_size < size:
        raise ValueError(
            f"The views of {folder} must be at least {size} px wide, got {manifest.image_size}. "
            f"Render them with --size {size} or train at a smaller input size."
        )
    count = len(dataset) if max_objects is None else min(len(dataset), max_objects)
    if cache is None:
        require_memory(4 * count * manifest.views * size**2, folder)
        return _decode(dataset, size, count, None)
    name = f"{manifest.sha256[:16]}-{size}-{count}-{manifest.symmetry}"
    place = Path(cache).absolute() / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(place.parent, wait=True):  # of processes that train together, one decodes
        if not place.is_dir():
            with replaced_folder(place) as new:
                views = _decode(dataset, size, count, new)
                others = {"K": views.K, "T": views.T_camera_object, "landmarks": views.landmarks}
                told = {n: getattr(views, n) for n in ("keys", "kinds", "landmark_names")}
                save_others(new, others, told)
    arrays, names = open_folder(place)
    return _view_set(manifest, size, arrays, names)


def _decode(dataset: ShardDataset, size: int, count: int, folder: Path | None) -> ViewSet:
    """The first objects of a set, their images in a file of `folder` if there is one."""
    manifest = dataset.manifest
    rgba = new_images(folder, (count, manifest.views, size, size, 4))
    K = np.empty((count, manifest.views, 3, 3), np.float32)
    T = np.empty((count, manifest.views, 4, 4), np.float32)
    keys, kinds, named = [], [], []
    for i, record in enumerate(islice(dataset, count)):
        if len(record.rgba) != manifest.views:
            raise ValueError(
                f"Objects of {dataset.folder} must have {manifest.views} views each, {record.key} "
                f"has {len(record.rgba)}. Render the set again into an empty folder."
            )
        for v, view in enumerate(record.rgba):
            rgba[i, v], K[i, v] = resize_view(view, record.K[v], size)
        T[i] = record.T_camera_object
        keys.append(record.key)
        kinds.append(record.kind)
        named.append(record.landmarks)
    common = [name for name in named[0] if all(name in points for points in named)]
    landmarks = _stack_landmarks(named, tuple(common))
    arrays = {"rgba": rgba, "K": K, "T": T, "landmarks": landmarks}
    return _view_set(
        manifest, size, arrays, {"keys": keys, "kinds": kinds, "landmark_names": common}
    )


def _view_set(
    manifest: Manifest, size: int, arrays: dict[str, Any], names: dict[str, Any]
) -> ViewSet:
    sampling = manifest.camera_settings
    camera = sampling.paper if isinstance(sampling, RobotCamera) else sampling
    return ViewSet(
        arrays["rgba"],
        arrays["K"],
        canonical_pose(np.asarray(arrays["T"]), manifest.symmetry),
        tuple(names["keys"]),
        manifest.category,
        camera.focal_px(size),
        camera.distance,
        tuple(names["kinds"]),
        tuple(names["landmark_names"]),
        manifest.symmetry,
        arrays["landmarks"],
    )


def with_symmetry(views: ViewSet, symmetry: str) -> ViewSet:
    """The views of objects of which a symmetry is known that their set may not tell.

    What is equally right by either is: a pose that was chosen by the symmetry of the set cannot be
    held against a model that knows none.
    """
    symmetry = max(views.symmetry, symmetry, key=SYMMETRIES.index)
    T = canonical_pose(views.T_camera_object, symmetry)
    return replace(views, T_camera_object=T, symmetry=symmetry)


def join_views(sets: Sequence[ViewSet]) -> ViewSet:
    """The objects of several sets as one set, without landmarks.

    Raises:
        ValueError: sets of different categories, symmetries, training cameras, image sizes or
            numbers of views.
    """

    def kind(views: ViewSet) -> tuple[object, ...]:
        camera = (round(views.training_focal_px, 6), views.training_distance)
        return views.category, views.symmetry, camera, views.rgba.shape[1:]

    first = sets[0]
    for other in sets[1:]:
        if kind(other) != kind(first):
            raise ValueError(
                "Folders that are used together must agree in category, symmetry, training "
                "camera (focal length [px], distance) and views (number, height, width, channels), "
                f"got {kind(first)} and {kind(other)}. Render them alike."
            )
    return replace(
        first,
        rgba=np.concatenate([views.rgba for views in sets]),
        K=np.concatenate([views.K for views in sets]),
        T_camera_object=np.concatenate([views.T_camera_object for views in sets]),
        keys=tuple(key for views in sets for key in views.keys),
        kinds=tuple(kind for views in sets for kind in views.kinds),
        landmark_names=(),
        landmarks=None,
    )


def _stack_landmarks(
    named: list[dict[str, NDArray[np.float64]]], names: tuple[str, ...]
) -> NDArray[np.float32]:
    stacked = [[points[name] for name in names] for points in named]
    return np.array(stacked, np.float32).reshape(len(named), len(names), 3)


class ViewTensors(NamedTuple):
    """The arrays of a `ViewSet`, view after view, where batches are put together."""

    rgba: Tensor
    """(I * V, S, S, 4), uint8."""
    K: Tensor
    """(I * V, 3, 3)."""
    T_camera_object: Tensor
    """(I * V, 4, 4)."""

    @staticmethod
    def of(views: ViewSet, device: torch.device | None = None) -> ViewTensors:
        """Share the memory of `views`, or copy it to a device other than the CPU."""
        arrays = (views.rgba, views.K, views.T_camera_object)
        return ViewTensors(
            *(torch.from_numpy(array).flatten(0, 1).to(device or "cpu") for array in arrays)
        )


class RandomBatches(Dataset):
    """Batch i of an epoch: B random objects with V different views of each.

    Batch i of epoch e is drawn by a generator seeded with (seed, e, i): a run that resumes at an
    epoch sees the batches that an unbroken run would have seen, and processes that share the
    batches see together what one process would have seen.
    """

    def __init__(
        self,
        views: ViewSet,
        num_batches: int,
        objects: int,
        views_per_object: int,
        seed: int,
        share: Share | None = None,
        tensors: ViewTensors | None = None,
    ) -> None:
        """Prepare an epoch.

        Args:
            views: to choose from.
            num_batches: length of the epoch.
            objects: B over all processes; each batch holds this process's share of them.
            views_per_object: V.
            seed: should contain the epoch.
            share: of this process; everything if None.
            tensors: of `views`, on the device where batches are wanted; the CPU if None.
        """
        available = views.rgba.shape[1]
        if views_per_object > available:
            raise ValueError(
                f"views_per_object must be at most {available}, the views rendered of each object, "
                f"got {views_per_object}."
            )
        self._views = views
        self._num_batches = num_batches
        self._objects = objects
        self._views_per_object = views_per_object
        self._seed = seed
        self._share = share or Share()
        self._own = self._share.of(objects)
        self._tensors = tensors or ViewTensors.of(views)

    def __len__(self) -> int:
        """Number of batches in the epoch."""
        return self._num_batches

    def __getitem__(self, index: int) -> dict[str, object]:
        """Batch `index`: rgba (B, V, S, S, 4), K (B, V, 3, 3), T_camera_object (B, V, 4, 4).

        B is the share of this process; `share` and the whole batch's `seed` say how to draw for it.
        Landmarks (B, L, 3) are there, where the set has any.
        """
        if not 0 <= index < self._num_batches:
            raise IndexError(index)
        rng = np.random.default_rng([self._seed, index])
        num_objects, num_views = self._views.rgba.shape[:2]
        objects = rng.integers(num_objects, size=self._objects)
        order = rng.permuted(np.tile(np.arange(num_views), (self._objects, 1)), axis=1)
        seed = int(rng.integers(2**62))
        objects, views = objects[self._own], order[self._own, : self._views_per_object]
        return {
            **self._gather(objects[:, None] * num_views + views),
            **self._known_landmarks(objects),
            "keys": [self._views.keys[i] for i in objects],
            "views": torch.from_numpy(views),
            "seed": seed,
            "share": self._share,
        }

    def _known_landmarks(self, objects: NDArray[np.int64]) -> dict[str, Tensor]:
        if self._views.landmarks is None:
            return {}
        landmarks = torch.from_numpy(self._views.landmarks[objects])
        return {"landmarks": landmarks.to(self._tensors.rgba.device, non_blocking=True)}

    def _gather(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        device = self._tensors.rgba.device
        flat = torch.from_numpy(index.ravel()).to(device, non_blocking=True)
        return {
            name: values.index_select(0, flat).unflatten(0, index.shape)
            for name, values in self._tensors._asdict().items()
        }
