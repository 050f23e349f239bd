"""Check and measure kp3d on this machine's NVIDIA GPU, without network: `python3 run.py`.

Stands in a folder that `make_bundle.py` made. Installs what lies beside it into a folder of its
own, runs the tests that compare every engine with torch, measures TensorRT, ONNX Runtime and torch
on the GPU, and leaves `conformance.xml`, `engine.json` and `summary.json` in the output folder.
Needs nothing but Python's standard library.
"""

import argparse
import ctypes
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = ("test/core/inference/engines/test_conformance.py",
         "test/core/inference/engines/nvidia/test_on_gpu.py")  # fmt: skip
CONTENDERS = "tensorrt,onnxruntime,onnxruntime:cuda,torch"
NO_GPU = 3
"""Exit status without a GPU."""


def main() -> int:
    """Do all steps; the exit status is 0 only if everything ran and was right."""
    parser = argparse.ArgumentParser(description="Check and measure kp3d on an NVIDIA GPU.")
    parser.add_argument("--output", type=Path, default=Path("gpu_check_results"))
    parser.add_argument("--work", type=Path, help="folder for the installation; default: temporary")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--dry-run", action="store_true", help="go on without a GPU, on the CPU")
    options = parser.parse_args()
    reason = missing_gpu()
    if reason:
        print(f"no GPU: {reason}.", flush=True)
        if not options.dry_run:
            print("Nothing was installed or measured. --dry-run goes on with the CPU.")
            return NO_GPU
    about = json.loads((HERE / "bundle.json").read_text())
    check_python(about)
    options.output.mkdir(parents=True, exist_ok=True)
    work = Path(options.work or tempfile.mkdtemp(prefix="kp3d_gpu_check_")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        summary = check(about, work, options.output.resolve(), options.seconds)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    summary["gpu"] = "" if reason else describe_gpu()
    (options.output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    good = not summary["tests"]["failed"] and not summary["bench_status"]
    return 0 if good and (options.dry_run or summary["on_gpu"]) else 1


def check(about: dict, work: Path, output: Path, seconds: float) -> dict:
    """Install, test and measure; what came out, and how long each step took."""
    times: dict[str, float] = {}
    with timed("unpack", times):
        files = join_files(about["files"], work)
        with tarfile.open(files / "kp3d.tar.gz") as archive:
            archive.extractall(work / "kp3d", filter="data")
    python = work / "venv" / "bin" / "python"
    with timed("install", times):
        venv.create(work / "venv", with_pip=True)
        pip = [python, "-m", "pip", "install", "--no-index", "--no-compile", "--quiet"]
        pip += ["--disable-pip-version-check", "--find-links", files / "wheels"]
        run([*pip, "-r", HERE / "requirements.txt", "-c", HERE / "constraints.txt"], work)
    shutil.rmtree(files)  # a few gigabytes
    env = {
        **os.environ,
        "PYTHONPATH": str(work / "kp3d"),
        "XDG_CACHE_HOME": str(work / "cache"),
        "PYTHONNOUSERSITE": "1",
    }
    with timed("tests", times):
        tests = [python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
        tests += [f"--junitxml={output / 'conformance.xml'}", *TESTS]
        run(tests, work / "kp3d", env, needed=False)
    with timed("bench", times):
        bench = [python, "-m", "kp3d_core.cli.main", "bench", "engine", "--engines", CONTENDERS]
        bench += ["--no-growth", "--seconds", str(seconds)]
        status = run([*bench, "--json", output / "engine.json"], work / "kp3d", env, needed=False)
    return {
        "commit": about["commit"],
        "tests": count_tests(output / "conformance.xml"),
        "bench_status": status,
        **read_bench(output / "engine.json"),
        "seconds": times,
    }


@contextmanager
def timed(what: str, times: dict) -> Iterator[None]:
    """Print what begins, and keep how long it took [s]."""
    print(f"-- {what}", flush=True)
    start = time.monotonic()
    yield
    times[what] = round(time.monotonic() - start, 1)


def missing_gpu() -> str:
    """Why no NVIDIA GPU can be used; empty if one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver, libcuda.so.1"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver finds no usable GPU"
    return ""


def describe_gpu() -> str:
    """Name and driver, as nvidia-smi says them."""
    if shutil.which("nvidia-smi") is None:
        return "unknown, there is no nvidia-smi"
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True).stdout.strip()


def check_python(about: dict) -> None:
    """End with a sentence unless the wheels are for this Python."""
    wanted, here = ".".join(about["python"]), ".".join(platform.python_version_tuple()[:2])
    if (wanted, about["machine"]) != (here, platform.machine()):
        sys.exit(
            f"error: this bundle is for Python {wanted} on {about['machine']}, got {here} on "
            f"{platform.machine()}. Run it with python{wanted}, or make one with this Python."
        )


def join_files(files: list, work: Path) -> Path:
    """Put files together from their parts, in a folder of their own; each is checked."""
    folder = work / "files"
    for entry in files:
        target = folder / entry["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("wb") as stream:
            for part in entry["parts"]:
                path = HERE / part
                if not path.is_file():
                    sys.exit(f"error: {path} is missing. Copy the whole bundle again.")
                content = path.read_bytes()
                digest.update(content)
                stream.write(content)
        if digest.hexdigest() != entry["sha256"]:
            sys.exit(f"error: {entry['name']} is damaged. Copy the whole bundle again.")
    return folder


def run(command: list, folder: Path, env: "dict | None" = None, needed: bool = True) -> int:
    """Run a command in a folder; end with a sentence if one that is needed fails."""
    status = subprocess.run([*map(str, command)], cwd=folder, env=env).returncode
    if status and needed:
        sys.exit(f"error: {' '.join(map(str, command[:5]))} ... failed, see above.")
    return status


def count_tests(path: Path) -> dict:
    """Numbers of tests, and the reasons of skips; all failed if there is no report."""
    if not path.is_file():
        return {"passed": 0, "failed": 1, "skipped": 0, "skips": ["pytest wrote no report"]}
    suite = next(ElementTree.parse(path).iter("testsuite"))
    numbers = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}
    failed = numbers["failures"] + numbers["errors"]
    skips = sorted({skip.get("message", "") for skip in suite.iter("skipped")})
    passed = numbers["tests"] - failed - numbers["skipped"]
    return {"passed": passed, "failed": failed, "skipped": numbers["skipped"], "skips": skips}


def read_bench(path: Path) -> dict:
    """Latencies, what is missing by its reason, and whether anything ran on the GPU."""
    if not path.is_file():
        return {"on_gpu": False, "p50_ms": {}, "missing": {}}
    result = json.loads(path.read_text())
    rows = {
        f"{row['network']}, {row['name']} on {row['device']}, {row['precision']}, "
        f"batch {row['batch']}": round(row["p50_ms"], 3)
        for row in result["rows"]
    }
    on_gpu = any(not row["device"].startswith("cpu") for row in result["rows"])
    missing: dict[str, list] = {}
    for label, reason in result["missing"].items():
        missing.setdefault(reason, []).append(label)
    return {"on_gpu": on_gpu, "p50_ms": rows, "missing": missing}


if __name__ == "__main__":
    sys.exit(main())
