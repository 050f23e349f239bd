"""Built engines on disk: found by what they depend on, checked, and rebuilt when in doubt."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from kp3d_core.files import atomic_writer, exclusive_lock

BUILD_VERSION = 2
"""Raised whenever this software builds other engines of the same model."""

_LOGGER = logging.getLogger(__name__)
_MAGIC = b"kp3d engine\n"
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class EngineKey:
    """Everything that a built engine depends on; one that differs in any of it is never used."""

    model_sha256: str
    precision: str
    batches: tuple[int, ...]
    part: str
    """`both` networks, or one of them."""
    library: str
    """`tensorrt` or `tensorrt_rtx`."""
    version: str
    """Of the library; engines of another one do not load."""
    target: str
    """What it is built for, see `library.target_of`."""
    build_version: int = BUILD_VERSION

    def text(self) -> str:
        """The same for equal keys."""
        return json.dumps(asdict(self), sort_keys=True)

    def file_name(self) -> str:
        """Unique to the key."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:32] + ".engine"

    def failure_file_name(self) -> str:
        """Of the reason why it cannot be built."""
        return self.file_name().replace(".engine", ".failed")

    def timing_file_name(self) -> str:
        """Unique to library and target: kernels are timed alike for all models."""
        timed_by = json.dumps([self.library, self.version, self.target])
        return hashlib.sha256(timed_by.encode()).hexdigest()[:32] + ".timing"

    def kernels_file_name(self, gpu: str) -> str:
        """Unique to the engine and the GPU that its kernels were compiled on."""
        return hashlib.sha256((self.text() + gpu).encode()).hexdigest()[:32] + ".kernels"


def default_folder() -> Path:
    """Engines' folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kp3d" / "engines"


class EngineCache:
    """A folder of built engines, shared by processes."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or the user's cache; it is made when needed."""
        self.folder = folder or default_folder()

    def get(
        self,
        key: EngineKey,
        load: Callable[[bytes], Loaded | None],
        build: Callable[[bytes], tuple[bytes, bytes]],
        *,
        builds_again: bool = True,
    ) -> Loaded:
        """Engine of a key, from the file or built and written.

        Of several processes that ask at once, one builds and the others wait for it: builds time
        kernels, which two at once would disturb. Where nothing can be written the engine is built
        all the same, and a warning says so.

        Args:
            key: of the engine.
            load: makes an engine of its bytes; None if they are no engine for this machine.
            build: (timing cache) -> (engine's bytes, new timing cache).
            builds_again: try what failed before with the same key.

        Raises:
            ValueError: it cannot be built, now or at an earlier try; or does not load.
        """
        loaded = self._read(key, load)
        if loaded is not None:
            return loaded
        with ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(exclusive_lock(self.folder, wait=True))
            except OSError as error:
                self._warn_not_kept(error)
                return _require(load(build(b"")[0]))
            loaded = self._read(key, load)  # another process may have built it meanwhile
            if loaded is not None:
                return loaded
            if not builds_again:
                self._refuse_what_failed(key)
            return self._build(key, load, build)

    def _refuse_what_failed(self, key: EngineKey) -> None:
        """`ValueError`, with the reason, if it could not be built at an earlier start."""
        path = self.folder / key.failure_file_name()
        try:
            reason = path.read_text().strip()
        except OSError:
            return
        raise ValueError(
            f"{reason.rstrip('. ')}. That was at an earlier start, and is not tried again with the "
            f"same model and library: delete {path}, or ask for the engine by its name."
        )

    def _build(
        self,
        key: EngineKey,
        load: Callable[[bytes], Loaded | None],
        build: Callable[[bytes], tuple[bytes, bytes]],
    ) -> Loaded:
        _LOGGER.warning(
            "Building an engine in %s for %s: takes up to some minutes, this once.",
            key.precision,
            key.target,
        )
        timing_path = self.folder / key.timing_file_name()
        failure_path = self.folder / key.failure_file_name()
        try:
            plan, timing = build(timing_path.read_bytes() if timing_path.is_file() else b"")
            loaded = _require(load(plan))
        except ValueError as error:
            with suppress(OSError), atomic_writer(failure_path) as stream:
                stream.write(str(error).encode())
            raise
        try:
            failure_path.unlink(missing_ok=True)
            with atomic_writer(self.folder / key.file_name()) as stream:
                stream.write(_MAGIC + _header(key, plan) + b"\n" + plan)
            if timing:
                with atomic_writer(timing_path) as stream:
                    stream.write(timing)
        except OSError as error:
            self._warn_not_kept(error)
        return loaded

    def _warn_not_kept(self, error: OSError) -> None:
        _LOGGER.warning(
            "The engine cannot be kept in %s (%s), so it is built at every start. Make the folder "
            "writable or set XDG_CACHE_HOME to one that is.",
            self.folder,
            error,
        )

    def _read(self, key: EngineKey, load: Callable[[bytes], Loaded | None]) -> Loaded | None:
        """Engine in the key's file; None if it is absent, damaged, another's, or does not load."""
        path = self.folder / key.file_name()
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOGGER.warning("%s cannot be read (%s) and is built again.", path, error)
            return None
        head, _, plan = content[len(_MAGIC) :].partition(b"\n")
        if not content.startswith(_MAGIC) or head != _header(key, plan):
            _LOGGER.warning("%s is damaged or of another machine and is built again.", path)
            return None
        loaded = load(plan)
        if loaded is None:
            _LOGGER.warning("TensorRT refuses %s, so it is built again.", path)
        return loaded

    def kernels(self, key: EngineKey, gpu: str) -> bytes:
        """What `keep_kernels` was given for an engine on a GPU; empty if that cannot be had.

        The library checks them itself.
        """
        try:
            return (self.folder / key.kernels_file_name(gpu)).read_bytes()
        except OSError:
            return b""

    def keep_kernels(self, key: EngineKey, gpu: str, kernels: bytes) -> None:
        """Keep kernels that were compiled at run time; where that fails the next start compiles."""
        try:
            with atomic_writer(self.folder / key.kernels_file_name(gpu)) as stream:
                stream.write(kernels)
        except OSError as error:
            _LOGGER.warning("Compiled kernels cannot be kept in %s (%s).", self.folder, error)


def _header(key: EngineKey, plan: bytes) -> bytes:
    """One line that names the key and the content."""
    digest = hashlib.sha256(plan).hexdigest()
    return json.dumps({"key": key.text(), "bytes": len(plan), "sha256": digest}).encode()


def _require(loaded: Loaded | None) -> Loaded:
    if loaded is None:
        raise ValueError(
            "TensorRT could not load the engine that it just built. Check its installation: "
            "libnvinfer and the Python package must have the same version."
        )
    return loaded
