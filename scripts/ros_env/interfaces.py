"""Build our messages, and the overlay where ROS 2 itself is missing, into the environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .shell import SetupError, run, say
from .stamps import Stamps, digest

REPOSITORY = Path(__file__).resolve().parents[2]
OVERLAY = Path(__file__).resolve().parent / "overlay"

# Modules that no ROS 2 wheel on PyPI carries. A real installation always wins over ours.
OVERLAY_MESSAGES = ("tf2_msgs", "vision_msgs")
OVERLAY_MODULES = ("tf2_ros",)


@dataclass(frozen=True)
class Prefix:
    """The environment as CMake sees it: an install prefix with its own Python."""

    root: Path
    site_packages: Path
    env: dict[str, str]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.root / "bin" / "python"

    @property
    def own_messages(self) -> Path:
        """Where `kp3d_ros.msg` goes.

        Not into site-packages: there the generated `kp3d_ros/__init__.py` would come before the
        source tree of the editable install.
        """
        return self.root / "lib" / "kp3d_ros" / "python"


def build_all(prefix: Prefix, stamps: Stamps, installed: frozenset[str], key: str) -> None:
    """Build and install whatever is missing or out of date.

    Args:
        prefix: where to install.
        stamps: what has been done already.
        installed: modules that a sourced ROS 2 has, which are left to it.
        key: hash of everything the packages are built with.
    """
    for name in OVERLAY_MESSAGES:
        if name not in installed:
            source = OVERLAY / name
            _build(prefix, stamps, name, source, prefix.site_packages, digest(key, source))
    inputs = [REPOSITORY / part for part in ("msg", "CMakeLists.txt", "package.xml")]
    _build(prefix, stamps, "kp3d_ros", REPOSITORY, prefix.own_messages, digest(key, *inputs))
    pth = prefix.site_packages / "kp3d_ros_messages.pth"
    pth.write_text(f"{prefix.own_messages}\n", encoding="utf-8")
    for name in OVERLAY_MODULES:
        if name not in installed:
            _copy_module(prefix, stamps, OVERLAY / "python" / name)


def _copy_module(prefix: Prefix, stamps: Stamps, source: Path) -> None:
    key = digest(source)
    if stamps.fresh(source.name, key):
        return
    target = prefix.site_packages / source.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    stamps.set(source.name, key)


def _build(
    prefix: Prefix, stamps: Stamps, name: str, source: Path, python_dir: Path, key: str
) -> None:
    if stamps.fresh(name, key):
        return
    _require_tools(prefix)
    say(f"Building {name} ...")
    build = prefix.root / "build" / name
    shutil.rmtree(build, ignore_errors=True)  # CMake's cache would keep the old Python
    log = prefix.root / "log" / f"{name}.log"
    log.unlink(missing_ok=True)
    configure: list[str | Path] = [
        "cmake",
        *("-S", source, "-B", build),
        f"-DCMAKE_INSTALL_PREFIX={prefix.root}",
        f"-DPYTHON_INSTALL_DIR={python_dir.relative_to(prefix.root)}",
        f"-DPython3_EXECUTABLE={prefix.python}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
        "-DKP3D_INTERFACES_ONLY=ON",
        "--no-warn-unused-cli",
    ]
    run("", configure, log, prefix.env)
    jobs = str(os.cpu_count() or 1)
    run("", ["cmake", "--build", build, "--parallel", jobs, "--target", "install"], log, prefix.env)
    shutil.rmtree(build)
    stamps.set(name, key)


def _require_tools(prefix: Prefix) -> None:
    missing = [tool for tool in ("cmake", "g++", "make") if not shutil.which(tool)]
    if missing:
        raise SetupError(
            f"Building the ROS messages needs {', '.join(missing)}. "
            "Install them, on Debian or Ubuntu: sudo apt install cmake g++ make"
        )
    header = Path(_python_include(prefix)) / "Python.h"
    if not header.is_file():
        raise SetupError(
            f"Building the ROS messages needs the header {header}. "
            "Install it, on Debian or Ubuntu: sudo apt install python3-dev"
        )


def _python_include(prefix: Prefix) -> str:
    return _ask(prefix, "import sysconfig; print(sysconfig.get_paths()['include'])")


def _ask(prefix: Prefix, code: str) -> str:
    return subprocess.run(
        [prefix.python, "-c", code], env=prefix.env, check=True, capture_output=True, text=True
    ).stdout.strip()


def repair_wheels(prefix: Prefix) -> None:
    """Put our paths where the wheels' CMake files name folders of the machine that built them.

    The exported targets `*__rosidl_generator_py` carry the include folders of Python and numpy
    of that machine; CMake refuses targets with include folders that do not exist.
    """
    numpy_include = _ask(prefix, "import numpy; print(numpy.get_include())")
    python_include = _python_include(prefix)
    for export in prefix.root.glob("share/*/cmake/*__rosidl_generator_pyExport.cmake"):
        text = export.read_text(encoding="utf-8")
        fixed = re.sub(r"/opt/python/[^;\"]*/numpy/_?core/include", numpy_include, text)
        fixed = re.sub(r"/opt/python/[^;\"]*/include/python[\d.]+", python_include, fixed)
        if fixed != text:
            export.write_text(fixed, encoding="utf-8")
