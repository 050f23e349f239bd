"""Reading strangers' meshes in a process of its own, whose memory and time are bounded."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from kp3d_core.objects.meshes.archive import save_mesh
from kp3d_core.objects.meshes.cleaning import cleaned
from kp3d_core.objects.meshes.reading import read_file

MEMORY_BYTES = 6 << 30
TIMEOUT_S = 180.0


class MeshReader:
    """Reads one mesh after the other; a file that kills or stalls the process costs only itself."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES, timeout_s: float = TIMEOUT_S) -> None:
        """Start without a process.

        Args:
            memory_bytes: most address space of the process.
            timeout_s: most time for one file [s].
        """
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> MeshReader:
        """Use it in a `with` block, so that no process is left behind."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._stop()

    def read(self, file: Path, root: Path, output: Path) -> list[str]:
        """Clean a mesh, write it in its own frame, and tell what was found and mended.

        Args:
            file: the mesh.
            root: folder that its materials and textures must lie in.
            output: archive to write.

        Raises:
            ValueError: it cannot serve as an object; the text is the reason.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                initializer=_limit,
                initargs=(self._memory_bytes,),
            )
        try:
            return self._pool.submit(_read, file, root, output).result(self._timeout_s)
        except TimeoutError as error:
            self._stop()
            raise ValueError(f"reading it took over {self._timeout_s:g} s") from error
        except BrokenProcessPool as error:
            self._stop()
            raise ValueError("reading it ended the process: it is damaged or hostile") from error
        except MemoryError as error:
            raise ValueError(
                f"reading it takes over {self._memory_bytes / 2**30:.0f} GB of memory"
            ) from error

    def _stop(self) -> None:
        if self._pool is None:
            return
        for process in list((self._pool._processes or {}).values()):
            process.kill()  # one that hangs does not hear a polite request
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


def _limit(memory_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _read(file: Path, root: Path, output: Path) -> list[str]:
    mesh, missing = read_file(file, root)
    mesh, mended = cleaned(mesh)
    save_mesh(mesh, output)
    return [*missing, *mended]
