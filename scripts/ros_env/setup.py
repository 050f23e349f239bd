"""Create and update `.venv`: Python packages, ROS 2, messages. A second run does no work twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from . import ros
from .interfaces import (
    OVERLAY_MESSAGES,
    OVERLAY_MODULES,
    REPOSITORY,
    Prefix,
    build_all,
    repair_wheels,
)
from .shell import SetupError, clean_environment, run, say
from .stamps import Stamps, digest

VENV = REPOSITORY / ".venv"
CONSTRAINTS = REPOSITORY / "constraints.txt"
EXTRAS = {"demo": "demo", "train": "demo,train,test"}
TENSORRT_BINDINGS = {"10.3.0": "cu12", "10.16.1.11": "cu12", "11.4.0.106": "cu12"}
"""Versions of TensorRT whose Python bindings (1 MB each, no NVIDIA library) the tests load."""
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def main(arguments: list[str]) -> None:
    """Bring `.venv` to the profile named on the command line."""
    if len(arguments) != 1 or arguments[0] not in EXTRAS:
        sys.exit(f"usage: setup_env.py {'|'.join(EXTRAS)}")
    try:
        set_up(arguments[0])
    except SetupError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; run the same command again to go on")


def set_up(profile: str) -> None:
    """Do every step that is not done yet.

    Args:
        profile: "demo" (run time) or "train" (with torch and the test tools, too).
    """
    env = clean_environment(VENV)
    python = Path(getattr(sys, "_base_executable", sys.executable))
    sourced = ros.find_sourced(python, env, OVERLAY_MESSAGES + OVERLAY_MODULES)
    base_key = digest(str(python), sys.version, sourced.prefix_path if sourced else "wheels")
    stamps = Stamps(VENV / "stamps")
    _create_venv(python, env, stamps, base_key, sourced)
    prefix = _prefix(env, sourced)
    _install_packages(prefix, stamps, profile, base_key, sourced)
    if profile == "train":
        _install_tensorrt_bindings(prefix, stamps, base_key)
    if sourced:
        _write_reexec_hook(prefix)
    # Not the whole constraints file: a newer ruff is no reason to build the messages again.
    pins = [
        line for line in CONSTRAINTS.read_text().splitlines() if line.startswith(("ros-", "numpy"))
    ]
    installed = sourced.modules if sourced else frozenset()
    build_all(prefix, stamps, installed, digest(base_key, pins))


def _create_venv(
    python: Path, env: dict[str, str], stamps: Stamps, key: str, sourced: ros.SourcedRos | None
) -> None:
    if stamps.fresh("venv", key):
        return
    mark = VENV / "made_by_kp3d"
    if VENV.exists():
        if not mark.exists():
            raise SetupError(
                f"{VENV} exists but was not made by this project. Move it away and run again."
            )
        if VENV.is_symlink():
            raise SetupError(
                f"{VENV} is a symbolic link to {VENV.resolve()}, which this project would have to "
                "replace. Remove the link and run again."
            )
        shutil.rmtree(VENV)
    VENV.mkdir()
    mark.touch()
    source = f"the sourced ROS 2 {sourced.distro}" if sourced else "ROS 2 from PyPI"
    options = ["--system-site-packages"] if sourced else []
    command: list[str | Path] = [python, "-m", "venv", *options, VENV]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    hint = f"On Debian or Ubuntu: sudo apt install python{version}-venv"
    run(f"Creating .venv: Python {version}, {source}", command, VENV / "log/venv.log", env, hint)
    stamps.set("venv", key)


def _prefix(env: dict[str, str], sourced: ros.SourcedRos | None) -> Prefix:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    env = dict(env)
    env["PATH"] = f"{VENV / 'bin'}:{env.get('PATH', '')}"
    env["CMAKE_PREFIX_PATH"] = ":".join(filter(None, [str(VENV), env.get("CMAKE_PREFIX_PATH")]))
    if not sourced:
        env["AMENT_PREFIX_PATH"] = str(VENV)
    return Prefix(VENV, VENV / "lib" / version / "site-packages", env)


def _install_packages(
    prefix: Prefix, stamps: Stamps, profile: str, base_key: str, sourced: ros.SourcedRos | None
) -> None:
    wheels = () if sourced else ros.RUNTIME_WHEELS + ros.BUILD_WHEELS
    key = digest(base_key, CONSTRAINTS, _project_table(), wheels)
    step = f"packages-{profile}"
    # The training packages include those of the demo.
    if stamps.fresh(step, key) or stamps.fresh("packages-train", key):
        return
    stamps.clear(step)
    log = VENV / "log" / f"{step}.log"
    log.unlink(missing_ok=True)
    hint = "Is the package index reachable?"
    # Without build isolation the pinned setuptools builds what has no wheel.
    pip: list[str | Path] = [prefix.python, "-m", "pip", "install", "--disable-pip-version-check"]
    pip += ["--no-build-isolation", "-c", CONSTRAINTS]
    env = {**prefix.env, "PIP_NO_INPUT": "1"}
    env.pop("PYTHONPATH", None)  # of the sourced ROS 2: pip must not take it for this environment
    run("", [*pip, "setuptools"], log, env, hint)
    if profile == "train":
        torch = [*pip, *_torch_index(), "torch==2.13.0"]
        run("Installing PyTorch (CPU)", torch, log, env, hint)
    title = "Installing Python packages" if sourced else "Installing Python packages and ROS 2"
    run(title, [*pip, *wheels, "-e", f"{REPOSITORY}[{EXTRAS[profile]}]"], log, env, hint)
    if not sourced:
        repair_wheels(prefix)
    stamps.set(step, key)


def _install_tensorrt_bindings(prefix: Prefix, stamps: Stamps, base_key: str) -> None:
    """Put several versions beside each other, outside of Python's search path.

    Not all have a wheel for every Python; the tests of those that are missing skip themselves.
    """
    key = digest(base_key, TENSORRT_BINDINGS)
    if stamps.fresh("tensorrt-bindings", key):
        return
    folder = VENV / "tensorrt_bindings"
    shutil.rmtree(folder, ignore_errors=True)
    env = {**prefix.env, "PIP_NO_INPUT": "1"}
    for version, cuda in TENSORRT_BINDINGS.items():
        command: list[str | Path] = [prefix.python, "-m", "pip", "install", "--no-deps"]
        command += ["--only-binary", ":all:", "--target", folder / version]
        command.append(f"tensorrt-{cuda}-bindings=={version}")
        with (VENV / "log" / f"tensorrt-bindings-{version}.log").open("w") as log:
            result = subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        if result.returncode:
            say(f"No bindings of TensorRT {version} for this Python: their tests will be skipped.")
    stamps.set("tensorrt-bindings", key)


def _project_table() -> object:
    """Return the part of pyproject.toml that decides what is installed."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    try:
        import tomllib
    except ImportError:  # Python 3.10
        return text
    document = tomllib.loads(text)
    return [document["build-system"], document["project"], document["tool"]["setuptools"]]


def _torch_index() -> list[str]:
    """Point pip at the CPU builds; those on PyPI bring 3 GB of CUDA libraries."""
    try:
        urllib.request.urlopen(f"{TORCH_INDEX}/torch/", timeout=5).close()
    except OSError:
        return []
    return ["--extra-index-url", TORCH_INDEX]


def _write_reexec_hook(prefix: Prefix) -> None:
    """Let plain `.venv/bin/python` find the libraries of the messages built into `.venv`.

    The dynamic loader reads LD_LIBRARY_PATH at start only, so Python starts itself once more with
    it. The ROS 2 wheels bring such a hook of their own.
    """
    source = Path(__file__).with_name("reexec_hook.py")
    shutil.copy(source, prefix.site_packages / "kp3d_ros_reexec.py")
    hook = prefix.site_packages / "kp3d_ros_reexec.pth"
    hook.write_text("import kp3d_ros_reexec\n", encoding="utf-8")
