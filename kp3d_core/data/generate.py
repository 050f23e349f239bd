"""Render a data set: instances from seeds, views from cameras, shards with a manifest.

Everything follows from the settings: the same settings and code give the same bytes, however often
the run was interrupted and however many processes took part.
"""

from __future__ import annotations

import platform
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import joblib
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import CameraSettings, PaperCamera, camera_to_dict
from kp3d_core.data.cluster import run_on_cluster
from kp3d_core.data.digests import (
    array_digest,
    library_versions,
    renderer_digest,
    source_digest,
)
from kp3d_core.data.lights import LIGHTS, PHOTOGRAPHS, painter_of
from kp3d_core.data.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    read_manifest,
    write_manifest,
)
from kp3d_core.data.photographs import read_photographs
from kp3d_core.data.remote import Publish, working_folder
from kp3d_core.data.shards import InstanceRecord, encode_instance, open_tar, write_members
from kp3d_core.data.splits import first_seed, split_problems
from kp3d_core.files import (
    atomic_writer,
    check_output_folder,
    exclusive_lock,
    remove_partial_files,
    sha256_of,
)
from kp3d_core.rendering.mesh import Mesh

_VIEW_STREAM = 0x76696577
"""Keeps the random numbers of cameras apart from those of shapes with the same seed."""
_REFLECTED_SIZE = 96
"""Side of the photographs that objects mirror [px]."""


@runtime_checkable
class Instance(Protocol):
    """What an instance source returns; `kp3d_core.data.procedural.Instance` is one."""

    @property
    def kind(self) -> str:
        """Variant of the category, such as "van"."""

    @property
    def mesh(self) -> Mesh:
        """Surface in model units."""

    @property
    def landmarks(self) -> dict[str, NDArray[Any]]:
        """Named points (3,) in the object frame [model units]."""


InstanceSource = Callable[[str, int], Instance]
"""Makes the instance of a category and a seed; may have a `symmetry`, see `Manifest`."""

Samples = Generator[list[tuple[str, bytes]], None, None]
"""Encoded samples, as tar members (name, content)."""

Progress = Callable[[int, int], None]
"""Told (instances done, instances in total)."""


@dataclass(frozen=True)
class GenerateSettings:
    """What to render."""

    category: str
    """Object category, such as "car"."""
    split: str
    """"train", "val" or "test": disjoint ranges of instance seeds, see `splits`."""
    instances: int
    """Number of different objects."""
    views: int = 200
    """Views of each; the paper renders 200."""
    camera: CameraSettings = field(default_factory=PaperCamera)
    """Where the views are taken from."""
    light: str = "overhead"
    """One of `lights.LIGHTS`: "overhead" as in the paper, "varied" from view to view, or
    "photographs": sun and sky with shadows, highlights, reflections, panes, dirt."""
    random_surfaces: float = 0.0
    """Share of objects with random textures and colours; needs light "photographs"."""
    reflections: str = ""
    """Folder of photographs that objects mirror, beside made-up surroundings; needs light
    "photographs"."""
    image_size: int = 128
    """Width and height of the images [px]."""
    seed_offset: int = 0
    """0 = the split's default seeds; N > 0 = fresh ones that no run without an offset uses."""
    instances_per_shard: int = 16
    """Instances in one tar file."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = split_problems(self.split, self.instances, self.seed_offset)
        if not 1 <= self.views <= 1000:
            problems.append(f"views must be between 1 and 1000, got {self.views}")
        if self.light not in LIGHTS:
            problems.append(f"light must be one of {', '.join(LIGHTS)}, got {self.light!r}")
        if not 0 <= self.random_surfaces <= 1:
            problems.append(f"random_surfaces must be in [0, 1], got {self.random_surfaces}")
        if self.light != PHOTOGRAPHS and (self.random_surfaces or self.reflections):
            problems.append(f"random_surfaces and reflections need light {PHOTOGRAPHS!r}")
        if not 8 <= self.image_size <= 4096:
            problems.append(f"image_size must be between 8 and 4096 px, got {self.image_size}")
        if self.instances_per_shard < 1:
            problems.append(
                f"instances_per_shard must be at least 1, got {self.instances_per_shard}"
            )
        if problems:
            raise ValueError("Render settings are wrong: " + "; ".join(problems) + ".")


def procedural_source(category: str, seed: int) -> Instance:
    """Make a built-in procedural instance."""
    from kp3d_core.data.procedural import make_instance

    return make_instance(category, seed)


@dataclass(frozen=True)
class ProceduralSource:
    """Makes built-in procedural instances by a version of their generators, see `VERSIONS`."""

    version: int

    @property
    def digest(self) -> str:
        """What decides which objects come out, apart from the code."""
        return f"version {self.version}"

    def __call__(self, category: str, seed: int) -> Instance:
        """The instance of a seed."""
        from kp3d_core.data.procedural import make_instance

        return make_instance(category, seed, self.version)


def generate(
    settings: GenerateSettings,
    output: str | Path,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    source: InstanceSource = procedural_source,
    on_progress: Progress = lambda done, total: None,
) -> Manifest:
    """Render a data set into a folder, or finish one that was interrupted.

    Args:
        settings: what to render.
        output: a new or empty folder, or one that an earlier run with equal settings wrote to;
            or a URL of such a place, see `remote`.
        jobs: processes that render at the same time; each uses one thread.
        cluster: `dask://host:port` of machines that render instead; see `cluster`.
        source: makes the instances; must be importable by the worker processes.
        on_progress: called after every instance, and first with what an earlier run has left.

    Returns:
        The manifest of the complete set.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}. Pass a number of processes.")
    wanted = _new_manifest(settings, source)
    source(settings.category, wanted.first_seed)  # an unknown category fails before any file

    def samples(first: int, end: int) -> Samples:
        seeds = range(first, end)
        if cluster is None:
            return _render_all(settings, source, seeds, jobs)
        code = (wanted.generator, wanted.renderer)
        tasks = (joblib.delayed(_sample_of_worker)(settings, source, k, code) for k in seeds)
        return run_on_cluster(cluster, tasks)

    with working_folder(output) as (folder, publish):
        return write_shards(folder, wanted, samples, on_progress, publish)


def write_shards(
    folder: Path,
    wanted: Manifest,
    samples_of: Callable[[int, int], Samples],
    on_progress: Progress = lambda done, total: None,
    publish: Publish = lambda path: None,
) -> Manifest:
    """Write a data set into a folder, or finish one that was interrupted.

    Args:
        folder: a new or empty one, or one that an earlier run with an equal manifest wrote to.
        wanted: manifest without shards.
        samples_of: yields the encoded samples of the seeds from the first to before the second.
        on_progress: called after every instance, and first with what an earlier run has left.
        publish: called with every shard, and with the manifest that lists it afterwards.

    Returns:
        The manifest of the complete set.
    """
    check_output_folder(folder, MANIFEST_NAME, holds="an unfinished set")
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        manifest = _start_or_resume(folder, wanted)
        remove_partial_files(folder)
        first = manifest.first_seed
        on_progress(manifest.samples, manifest.instances)
        rest = samples_of(first + manifest.samples, first + manifest.instances)
        with closing(rest) as samples:
            while not manifest.complete:
                shard = _write_shard(folder, manifest, samples, on_progress)
                publish(folder / shard.name)
                manifest = replace(manifest, shards=(*manifest.shards, shard))
                write_manifest(folder, manifest)
                publish(folder / MANIFEST_NAME)
    return manifest


def render_instance(
    settings: GenerateSettings, source: InstanceSource, seed: int
) -> InstanceRecord:
    """Render all views of one instance."""
    instance = source(settings.category, seed)
    views = [
        # A generator per view: view k is the same however many views are asked for.
        settings.camera.sample(np.random.default_rng((_VIEW_STREAM, seed, k)), settings.image_size)
        for k in range(settings.views)
    ]
    paint = painter_of(
        settings.light,
        instance.mesh,
        settings.category,
        seed,
        settings.image_size,
        random_surfaces=settings.random_surfaces,
        photographs=_pictures(settings.reflections) if settings.reflections else None,
    )
    images = [paint(k, view) for k, view in enumerate(views)]
    return InstanceRecord(
        category=settings.category,
        seed=seed,
        kind=instance.kind,
        landmarks={k: np.asarray(p, np.float64) for k, p in instance.landmarks.items()},
        rgba=np.stack([np.dstack([image.rgb, image.alpha]) for image in images]),
        mask=np.stack([image.mask for image in images]),
        K=np.stack([view.K for view in views]),
        T_camera_object=np.stack([view.T_camera_object for view in views]),
        distance=np.array([view.distance for view in views]),
        mode=tuple(view.mode for view in views),
    )


@cache
def _pictures(folder: str) -> NDArray[np.uint8]:
    """(P, 3, S, S)."""
    return read_photographs(folder, _REFLECTED_SIZE).images


def _render_all(
    settings: GenerateSettings, source: InstanceSource, seeds: range, jobs: int
) -> Samples:
    """Yield the encoded samples in the order of their seeds, rendered by `jobs` processes."""
    tasks = (joblib.delayed(_encoded_sample)(settings, source, seed, jobs > 1) for seed in seeds)
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)(tasks)


def _encoded_sample(
    settings: GenerateSettings, source: InstanceSource, seed: int, in_worker: bool
) -> list[tuple[str, bytes]]:
    if in_worker:
        # Ctrl-C reaches all processes of a terminal; the main one alone decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cv2.setNumThreads(1)
    return encode_instance(render_instance(settings, source, seed))


def _sample_of_worker(
    settings: GenerateSettings, source: InstanceSource, seed: int, code: tuple[str, str]
) -> list[tuple[str, bytes]]:
    """On another machine, whose code must make the same data."""
    if (_generator_digest(source), renderer_digest(settings.light)) != code:
        raise ValueError(
            f"{platform.node()} must have the code of kp3d that this machine has, got another: it "
            "would make other data. Install the same version on all workers."
        )
    return encode_instance(render_instance(settings, source, seed))


def _write_shard(
    folder: Path,
    manifest: Manifest,
    samples: Iterator[list[tuple[str, bytes]]],
    on_progress: Progress,
) -> ShardEntry:
    """Write the shard that comes after those in the manifest."""
    size = min(manifest.instances_per_shard, manifest.instances - manifest.samples)
    path = folder / f"shard-{len(manifest.shards):06d}.tar"
    with atomic_writer(path) as stream, open_tar(stream) as tar:
        for i, members in enumerate(islice(samples, size), start=1):
            write_members(tar, members)
            on_progress(manifest.samples + i, manifest.instances)
    return ShardEntry(
        name=path.name,
        samples=size,
        first_seed=manifest.first_seed + manifest.samples,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


def _new_manifest(settings: GenerateSettings, source: InstanceSource) -> Manifest:
    return Manifest(
        category=settings.category,
        split=settings.split,
        camera=camera_to_dict(settings.camera),
        light=settings.light,
        random_surfaces=settings.random_surfaces,
        reflections=array_digest(_pictures(settings.reflections)) if settings.reflections else "",
        image_size=settings.image_size,
        views=settings.views,
        first_seed=first_seed(settings.split, settings.instances, settings.seed_offset),
        seed_offset=settings.seed_offset,
        instances_per_shard=settings.instances_per_shard,
        generator=_generator_digest(source),
        renderer=renderer_digest(settings.light),
        instances=settings.instances,
        symmetry=getattr(source, "symmetry", "none"),
    )


def _start_or_resume(folder: Path, wanted: Manifest) -> Manifest:
    """Write a first manifest, or take over the one that is there if it means the same data."""
    versions = library_versions()
    if not (folder / MANIFEST_NAME).exists():
        manifest = replace(wanted, library_versions=(versions,))
    else:
        found = read_manifest(folder)
        problems = found.differences(wanted)
        if found.samples > wanted.instances:
            problems.append(f"{found.samples} instances are there and {wanted.instances} asked for")
        if problems:
            raise ValueError(
                f"{folder} was made with other settings, so this run cannot continue it: "
                + "; ".join(problems)
                + ". Choose an empty folder or the settings of that set."
            )
        seen = found.library_versions
        manifest = replace(
            found,
            instances=wanted.instances,
            library_versions=seen if versions in seen else (*seen, versions),
        )
    write_manifest(folder, manifest)
    return manifest


def _generator_digest(source: InstanceSource) -> str:
    if source is procedural_source:
        return source_digest("kp3d_core.data.procedural")
    name = f"{source.__module__}.{getattr(source, '__qualname__', type(source).__name__)}"
    if hasattr(source, "digest"):
        return f"{name} {source.digest} {source_digest('kp3d_core.data.procedural')}"
    return name  # foreign code is known by name only
