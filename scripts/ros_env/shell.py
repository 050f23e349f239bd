"""Run a command quietly: one line on the terminal, everything in a log file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class SetupError(Exception):
    """Something the user can act on; its text is the whole message."""


def say(text: str) -> None:
    """Print one line about what is being done."""
    print(f"[env] {text}", flush=True)


def run(
    title: str,
    command: Sequence[str | Path],
    log: Path,
    env: dict[str, str],
    hint: str = "",
) -> None:
    """Run `command`, its output into `log`; on failure show the end of the log.

    Args:
        title: what is being done, shown while it runs. Empty: nothing is shown.
        command: program and arguments.
        log: file to append the output to.
        env: the whole environment of the program.
        hint: what to do when it fails.

    Raises:
        SetupError: the command failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if title:
        say(f"{title} ...")
    start = time.monotonic()
    with log.open("a", encoding="utf-8") as stream:
        stream.write("$ " + " ".join(map(str, command)) + "\n")
        stream.flush()
        code = subprocess.run(
            [str(part) for part in command], env=env, stdout=stream, stderr=subprocess.STDOUT
        ).returncode
    if code:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        print("\n".join(tail), file=sys.stderr)
        raise SetupError(f"{title or command[0]} failed; the whole output is in {log}. {hint}")
    if title and time.monotonic() - start > 5:
        say(f"  done in {time.monotonic() - start:.0f} s")


def clean_environment(venv: Path) -> dict[str, str]:
    """Return our variables without what a running Python of `venv` has put into them."""
    env = dict(os.environ)
    for name in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME", "VIRTUAL_ENV"):
        env.pop(name, None)
    for name, own in (("AMENT_PREFIX_PATH", venv), ("LD_LIBRARY_PATH", venv / "lib")):
        entries = [entry for entry in env.get(name, "").split(os.pathsep) if entry]
        env[name] = os.pathsep.join(entry for entry in entries if entry != str(own))
        if not env[name]:
            del env[name]
    return env
