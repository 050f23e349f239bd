"""A ROS node in a process of its own, which ends with the demonstration."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

_Process = TypeVar("_Process", bound="RosProcess")


class RosProcess:
    """A Python module that is a node; its output goes to a file."""

    def __init__(
        self,
        module: str,
        log: Path,
        *,
        namespace: str,
        parameters: Mapping[str, Any],
        what: str = "node",
    ) -> None:
        """Start it.

        Args:
            module: started with `python -m`.
            log: file for its output.
            namespace: of the node.
            parameters: by name.
            what: its name in error messages.
        """
        command = [sys.executable, "-m", module, "--ros-args", "-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={_yaml(value)}"]
        self._log, self._what = log, what
        self.started_s = time.monotonic()
        """When the process was started, by the monotonic clock [s]."""
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self: _Process) -> _Process:
        """Use it as a context, so that it never outlives the demonstration."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it as a user would, by SIGINT."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check_alive(self) -> None:
        """Raise `RuntimeError` with its last words if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(
                f"The {self._what} ended with status {self._process.returncode}: {self.output()}"
            )

    def output(self, *, everything: bool = False) -> str:
        """What it has printed, by default only the end."""
        text = self._log.read_text(errors="replace").strip()
        return text if everything else text[-2000:]

    def memory_mb(self) -> float:
        """Memory that it occupies (resident set) [MB]."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return float(line.split()[1]) / 1024


def _yaml(value: Any) -> str:
    """A parameter's value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in value) + "]"
    return str(value)
