"""The manifest of a rendered data set: how it was made, and which of its shards are whole."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kp3d_core.data.cameras import CameraSettings, camera_from_dict
from kp3d_core.files import atomic_writer
from kp3d_core.geometry.symmetry import SYMMETRIES

FORMAT = "kp3d-shards"
FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
_MAX_BYTES = 64 << 20
_SHARD_NAME = re.compile(r"shard-\d{6,9}\.tar")


@dataclass(frozen=True)
class ShardEntry:
    """One finished shard."""

    name: str
    samples: int
    """Number of instances in it."""
    first_seed: int
    """Instance seeds are consecutive from here."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything needed to make the data set again, and the list of its valid shards."""

    category: str
    split: str
    camera: dict[str, Any]
    """Settings of the camera sampling, its name under "sampling"."""
    light: str
    """Light of the views, one of `lights.LIGHTS`."""
    image_size: int
    """Images are square [px]."""
    views: int
    """Views per instance."""
    first_seed: int
    """Seed of the first instance; the others follow one by one."""
    seed_offset: int
    instances_per_shard: int
    generator: str
    """Digest of the code that makes instances: other code makes other objects from a seed."""
    renderer: str
    """Digest of the code that draws them."""
    instances: int
    """How many instances were asked for; fewer are there while the set is unfinished."""
    random_surfaces: float = 0.0
    """Share of objects with random surfaces."""
    reflections: str = ""
    """Digest of the photographs that objects mirror; empty: none."""
    symmetry: str = "none"
    """Of the objects about z, one of `geometry.symmetry.SYMMETRIES`."""
    shards: tuple[ShardEntry, ...] = ()
    library_versions: tuple[dict[str, str], ...] = field(default=())
    """Versions of the libraries of every run that wrote to this set."""

    @property
    def camera_settings(self) -> CameraSettings:
        """The camera sampling as settings."""
        return camera_from_dict(self.camera)

    @property
    def samples(self) -> int:
        """Number of instances in finished shards."""
        return sum(shard.samples for shard in self.shards)

    @property
    def complete(self) -> bool:
        """Whether all instances asked for are there."""
        return self.samples >= self.instances

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of the data: of those of all shards."""
        digests = "\n".join(shard.sha256 for shard in self.shards)
        return hashlib.sha256(digests.encode()).hexdigest()

    def differences(self, wanted: Manifest) -> list[str]:
        """Return the settings in which `wanted` would make other data, one entry each."""
        free = {"instances", "shards", "library_versions"}
        return [
            f"{f.name} is {getattr(self, f.name)} there and {getattr(wanted, f.name)} now"
            for f in fields(self)
            if f.name not in free and getattr(self, f.name) != getattr(wanted, f.name)
        ]


def data_facts(folder: Path) -> dict[str, Any]:
    """What a data set is, for the files that are made of it: digest and settings, not its place."""
    manifest = read_manifest(folder)
    facts = asdict(manifest)
    del facts["shards"], facts["library_versions"]
    return {"sha256": manifest.sha256, **facts}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest in one step."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    with atomic_writer(folder / MANIFEST_NAME) as stream:
        stream.write((json.dumps(content, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> Manifest:
    """Read and check the folder's manifest."""
    if not folder.is_dir():
        raise ValueError(
            f"A folder of rendered shards was expected, got {folder}, which does not exist or is "
            "no folder. Make one with: kp3d render --output DIR."
        )
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no {MANIFEST_NAME}, so it is not a folder of rendered shards. "
            "Pass the --output folder of kp3d render."
        )
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} must be under {_MAX_BYTES >> 20} MB. Is it a manifest?")
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}). Render the set again into an empty folder."
        ) from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError(
            f"{path} is not the manifest of a rendered data set (format {FORMAT!r} expected). "
            "Pass the --output folder of kp3d render."
        )
    version = content.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format_version {FORMAT_VERSION}, got {version}. Render the set "
            "again, or read it with the version of kp3d that made it."
        )
    return _from_dict(path, content)


def _from_dict(path: Path, content: dict[str, Any]) -> Manifest:
    known = {f.name for f in fields(Manifest)}
    content = _ABSENT | content
    missing, unknown = sorted(known - content.keys()), sorted(content.keys() - known)
    if missing or unknown:
        raise ValueError(
            f"{path} is damaged: missing keys {missing}, unknown keys {unknown}. Render the set "
            "again into an empty folder."
        )
    entries = content["shards"] if isinstance(content["shards"], list) else [{}]
    keys = {f.name for f in fields(ShardEntry)}
    if any(not isinstance(entry, dict) or entry.keys() != keys for entry in entries):
        raise ValueError(
            f"{path} is damaged: wrong shard entry, the keys {sorted(keys)} are expected. Render "
            "the set again into an empty folder."
        )
    wrong = [
        f"{name} {value!r:.60}"
        for item in (content, *entries)
        for name, value in item.items()
        if not isinstance(value, _KINDS.get(name, int))
    ]
    names = [str(entry["name"]) for entry in entries]
    wrong += [f"name {name!r:.60}" for name in names if not _SHARD_NAME.fullmatch(name)]
    if content["symmetry"] not in SYMMETRIES:
        wrong.append(f"symmetry {content['symmetry']!r:.60}")
    versions = content["library_versions"]
    if isinstance(versions, list) and not all(isinstance(run, dict) for run in versions):
        wrong.append("library_versions")
    if wrong:
        raise ValueError(
            f"{path} is damaged: wrong {', '.join(wrong[:3])}. Render the set again into an empty "
            "folder."
        )
    shards = tuple(ShardEntry(**entry) for entry in entries)
    return Manifest(**{**content, "shards": shards, "library_versions": tuple(versions)})


_ABSENT: dict[str, Any] = {"random_surfaces": 0.0, "reflections": "", "symmetry": "none"}
"""Of sets that were rendered before there were any."""

_KINDS: dict[str, type] = {
    **dict.fromkeys(("category", "split", "light", "reflections", "symmetry"), str),
    **dict.fromkeys(("generator", "renderer", "name", "sha256"), str),
    "random_surfaces": float,
    "camera": dict,
    "shards": list,
    "library_versions": list,
}
"""Of the values that are no whole numbers."""
