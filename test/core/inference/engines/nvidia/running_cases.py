"""Cases that `test_real_bindings.py` runs with the bindings of one version: running on a GPU."""

from __future__ import annotations

import ast
import gc
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loaded_bindings import FOR_RTX, Overlay, trt  # noqa: E402, I001
from binding_doubles import Double, double_class  # noqa: E402
from simulated_gpu import SimulatedCuda, refuse_uint8, simulated_engine  # noqa: E402

from kp3d_core.inference import create_engine, engines, load_model  # noqa: E402
from kp3d_core.inference.engines.nvidia import device, engine, library, plans  # noqa: E402


class Machine:
    """A simulated GPU with a TensorRT that 'builds' by keeping the ONNX file."""

    def __init__(self, monkeypatch, gpus: int = 1) -> None:
        self.cuda = SimulatedCuda(gpus)
        self.builds = 0
        self.answers: list[Double | None] = []
        """What loading gives in place of the engine, the next few times."""
        self.model = load_model(os.environ["KP3D_TEST_MODEL"])
        runtime = Double(trt.Runtime, deserialize_cuda_engine=self.load)
        overlay = Overlay(Runtime=double_class(trt.Runtime, lambda logger: runtime))
        monkeypatch.setattr(engines, "missing_gpu", lambda: "")
        monkeypatch.setattr(device, "cuda", self.cuda)
        monkeypatch.setattr(engine, "tensorrt", overlay)
        monkeypatch.setattr(plans, "build_plan", self._build)

    def _build(self, graph, inputs, batches, timings, on_progress, targets):
        assert inputs == {"image": (128, 128, 3)}
        assert targets == (("sm_89",) if FOR_RTX else ())
        refuse_uint8(graph)
        self.builds += 1
        return repr(list(batches)).encode() + b"\n" + graph, b""

    def load(self, plan: bytes) -> Double | None:
        if self.answers:
            return self.answers.pop(0)
        batches, _, graph = plan.partition(b"\n")
        return simulated_engine(self.cuda, graph, ast.literal_eval(batches.decode()))

    def engine(self, folder, **options):
        return create_engine(self.model, "tensorrt", cache=folder, **options)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (11, 128, 128, 3), np.uint8)


def test_answers_are_those_of_onnxruntime_for_every_batch(machine, images, tmp_path):
    ours = machine.engine(tmp_path, batches=(4, 1))
    reference = create_engine(machine.model, "onnxruntime", threads=1)
    for batch in (1, 2, 4, 5, 11):
        got, expected = ours.run(images[:batch]), reference.run(images[:batch])
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            assert got[name].shape == values.shape
            np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-3)
    assert ours.name == f"{library.NAME} {trt.__version__}"
    assert ours.device == "Simulated (compute capability 8.9)"


def test_a_frame_is_one_launch_and_allocates_nothing(machine, images, tmp_path):
    ours = machine.engine(tmp_path, batches=(1, 4))
    allocations, launches = machine.cuda.allocations, machine.cuda.launches
    for _ in range(3):
        ours.run(images[:1])
    assert machine.cuda.launches == launches + 3
    ours.run(images)  # 4 + 4 + 3
    assert machine.cuda.launches == launches + 6
    assert machine.cuda.allocations == allocations == 4


def test_results_belong_to_the_caller(machine, images, tmp_path):
    ours = machine.engine(tmp_path)
    first = ours.run(images[:1])["keypoints_uv"]
    kept = first.copy()
    ours.run(images[1:2])
    assert np.array_equal(first, kept)


def test_everything_is_given_back(machine, tmp_path):
    ours = machine.engine(tmp_path)
    assert machine.cuda.live_graphs == 3
    del ours
    gc.collect()
    assert not machine.cuda.device
    assert not machine.cuda.host
    assert machine.cuda.live_streams == machine.cuda.live_graphs == 0


def test_built_on_first_use_then_read(machine, tmp_path):
    for builds in (1, 1):
        machine.engine(tmp_path)
        assert machine.builds == builds
    machine.engine(tmp_path, batches=(2,))
    assert machine.builds == 2


def test_engine_of_another_network_is_built_again(machine, tmp_path):
    machine.engine(tmp_path, batches=(1,))
    other_names = Double(trt.ICudaEngine, num_io_tensors=1, get_tensor_name="x")
    other_profiles = machine.load(repr([1, 2]).encode() + b"\n" + machine.model.data)
    for builds, other in enumerate((None, other_names, other_profiles), start=2):
        # What the file gives before and after the lock is taken; then the engine just built.
        machine.answers = [other, other]
        machine.engine(tmp_path, batches=(1,))
        assert machine.builds == builds


def test_without_a_gpu_it_says_so_and_auto_goes_on(monkeypatch, tmp_path):
    machine = Machine(monkeypatch, gpus=0)
    with pytest.raises(ValueError, match=r"no usable NVIDIA GPU was found \(no CUDA-capable dev"):
        machine.engine(tmp_path)
    assert create_engine(machine.model).name.startswith("onnxruntime ")


def test_failed_cuda_call_is_named_and_auto_goes_on(machine, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(
        SimulatedCuda,
        "_cudaMalloc",
        lambda self, size: (device.cuda.cudaError_t.cudaErrorMemoryAllocation, None),
    )
    message = "tensorrt cannot run tiny here: cudaMalloc failed: out of memory. Choose another"
    with pytest.raises(ValueError, match=message):
        machine.engine(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert create_engine(machine.model, cache=tmp_path).name.startswith("onnxruntime ")
    assert "tensorrt: cudaMalloc failed: out of memory. onnxruntime" in caplog.text


def test_error_while_recording_ends_the_recording(machine):
    stream = device.Stream()

    def fail() -> None:
        raise RuntimeError("TensorRT could not run")

    with pytest.raises(RuntimeError, match="could not run"):
        stream.record(fail)
    stream.synchronize()  # would fail on a stream that still records


@pytest.mark.skipif(not FOR_RTX, reason="TensorRT compiles nothing at run time")
def test_kernels_compiled_at_run_time_are_kept(machine, tmp_path):
    machine.engine(tmp_path)
    (kept,) = tmp_path.glob("*.kernels")
    assert kept.read_bytes() == b"kernels"
    machine.engine(tmp_path)
    assert machine.cuda.knew_kernels
    kept.write_bytes(b"of another driver")
    machine.engine(tmp_path)
    assert not machine.cuda.knew_kernels
    assert kept.read_bytes() == b"kernels"


@pytest.mark.skipif(not FOR_RTX, reason="TensorRT can always be recorded")
def test_what_cannot_be_recorded_is_queued_each_time(machine, images, tmp_path):
    recorded = machine.engine(tmp_path).run(images[:1])
    launches = machine.cuda.launches
    machine.cuda.capturable = False
    queued = machine.engine(tmp_path).run(images[:1])
    assert machine.cuda.launches == launches
    for name, values in recorded.items():
        assert np.array_equal(values, queued[name])


@pytest.mark.skipif(not FOR_RTX, reason="TensorRT builds for any GPU")
def test_a_gpu_that_the_library_does_not_list_is_named(machine, tmp_path, monkeypatch):
    hopper = SimpleNamespace(name=b"H200", major=9, minor=0)
    monkeypatch.setattr(SimulatedCuda, "_cudaGetDeviceProperties", lambda self, device: hopper)
    message = r"supports GPUs of sm_75, .*, this one, H200, is sm_90. Choose engine onnxruntime"
    with pytest.raises(ValueError, match=message):
        machine.engine(tmp_path)
    assert create_engine(machine.model).name.startswith("onnxruntime ")
