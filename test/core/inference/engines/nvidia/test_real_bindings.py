"""The code for TensorRT against the real Python bindings of several versions, without a GPU.

The bindings need three of NVIDIA's libraries to load, of which they look up nine functions. Empty
libraries with those names let every class, enumeration and signature be imported. TensorRT for RTX
needs no such help: it is there as a whole. Two versions do not fit into one process, so the cases
run in a process of its own for each.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BINDINGS = Path(os.environ.get("KP3D_TENSORRT_BINDINGS", Path(sys.prefix) / "tensorrt_bindings"))
"""Folder with one folder per version; made by `make train-env`."""
VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")
"""Of JetPack 6.2, and the last ones of 10 and 11 when this was written."""
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getPluginRegistry",
    "initLibNvInferPlugins",
    "getNvOnnxParserVersion",
)
CASES = [Path(__file__).with_name(f"{name}_cases.py") for name in ("bindings", "running")]


@pytest.fixture(scope="module")
def empty_libraries(tmp_path_factory):
    """Folder with libraries that have the names, and nothing behind them."""
    compiler = shutil.which("cc") or shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("libraries")
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in SYMBOLS))
    for major in ("10", "11"):
        for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            name = f"lib{library}.so.{major}"
            subprocess.run(
                [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}"]
                + ["-x", "c", "-o", folder / name, source],
                check=True,
            )
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_names_signatures_and_behaviour(version, empty_libraries, tiny_path):
    if not (BINDINGS / version).is_dir():
        pytest.skip(f"no bindings of TensorRT {version} in {BINDINGS}: run `make train-env`")
    run_cases(
        version,
        tiny_path,
        KP3D_TEST_BINDINGS=str(BINDINGS / version),
        LD_LIBRARY_PATH=f"{empty_libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}",
    )


def test_the_same_with_tensorrt_for_rtx(tiny_path):
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("no TensorRT for RTX for this Python: pip install 'kp3d[tensorrt-rtx]'")
    run_cases("1.", tiny_path)


def run_cases(version: str, model: Path, **environment: str) -> None:
    """Run both files in a process of their own."""
    environment = {"KP3D_TEST_VERSION": version, "KP3D_TEST_MODEL": str(model)} | environment
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CASES],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
