"""Cases that `test_real_bindings.py` runs with the bindings of one version: names and building."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))
from loaded_bindings import FOR_RTX, Overlay, trt  # noqa: E402, I001
from binding_doubles import Double, check_call, double_class, signatures  # noqa: E402
from simulated_gpu import refuse_uint8  # noqa: E402

from kp3d_core.inference.engines.nvidia import builder, library  # noqa: E402

ONLY_RTX = (
    "ComputeCapability",
    "DynamicShapesKernelSpecializationStrategy",
    "EngineInvalidityDiagnostics",
    "REQUIRE_USER_ALLOCATION",
)
"""What `library` uses of TensorRT for RTX alone."""
SOURCES = Path(builder.__file__).parent.glob("*.py")


# The bindings themselves ------------------------------------------------------------------------


def test_version_is_the_one_asked_for():
    assert trt.__version__.startswith(os.environ["KP3D_TEST_VERSION"])
    assert library.VERSION == trt.__version__
    assert library.NAME == ("tensorrt_rtx" if FOR_RTX else "tensorrt")


def test_every_name_that_the_code_uses_exists():
    chains = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("tensorrt."):
                chains.add(ast.unparse(node))
    assert "tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED" in chains
    only_rtx = {c for c in chains if any(name in c for name in ONLY_RTX)}
    assert len(only_rtx) >= len(ONLY_RTX)
    for chain in chains if FOR_RTX else chains - only_rtx:
        value: Any = trt
        for name in chain.split(".")[1:]:
            value = getattr(value, name)


def test_the_check_of_names_would_notice_weak_typing():
    weak = trt.__version__.startswith("10.")
    assert hasattr(trt.BuilderFlag, "FP16") == weak


@pytest.mark.parametrize(
    ("ours", "real"),
    [(builder.BuildLogger, trt.ILogger), (builder.BuildProgress, trt.IProgressMonitor)],
)
def test_callbacks_have_the_parameters_that_tensorrt_passes(ours, real):
    for name in ("log", "phase_start", "step_complete", "phase_finish"):
        if hasattr(real, name):
            expected = [p.name for p in signatures(getattr(real, name), name)[0]]
            assert list(inspect.signature(getattr(ours, name)).parameters)[1:] == expected


def test_doubles_refuse_what_the_real_classes_lack():
    double = Double(trt.IExecutionContext)
    with pytest.raises(AttributeError):
        double.execute_v2_nowhere  # noqa: B018
    with pytest.raises(TypeError, match="set_tensor_address takes"):
        double.set_tensor_address("image")
    with pytest.raises(TypeError, match="set_tensor_address takes"):
        double.set_tensor_address(0, 0)
    with pytest.raises(AssertionError, match="has no build_nothing"):
        Double(trt.Builder, build_nothing=None)
    with pytest.raises(TypeError, match="create_network takes"):
        check_call(trt.Builder.create_network, "create_network", ("strong",), {})


# Building ---------------------------------------------------------------------------------------


class Parts:
    """Doubles of everything that a build touches."""

    def __init__(self) -> None:
        self.profiles: list[Double] = []
        timing = Double(trt.ITimingCache, serialize=b"timed")
        self.config = Double(
            trt.IBuilderConfig,
            add_optimization_profile=lambda profile: len(self.profiles) - 1,
            create_timing_cache=lambda content: None if content == b"damaged" else timing,
            set_timing_cache=True,
            get_timing_cache=timing,
        )
        self.builder = Double(
            trt.Builder,
            create_network=Double(trt.INetworkDefinition),
            create_builder_config=self.config,
            create_optimization_profile=self._profile,
            build_serialized_network=b"plan",
        )
        self.parser = Double(trt.OnnxParser, parse=True)

    def _profile(self) -> Double:
        self.profiles.append(Double(trt.IOptimizationProfile))
        return self.profiles[-1]

    def module(self) -> Overlay:
        return Overlay(
            Builder=double_class(trt.Builder, lambda logger: self.builder),
            OnnxParser=double_class(trt.OnnxParser, lambda network, logger: self.parser),
        )


@pytest.mark.skipif(FOR_RTX, reason="test_real_builds.py builds with it")
@pytest.mark.parametrize("timings", [b"old", b"damaged"])
def test_a_build_makes_calls_that_this_version_takes(monkeypatch, timings):
    parts = Parts()
    monkeypatch.setattr(builder, "tensorrt", parts.module())
    inputs = {"image": (64, 64, 3), "flag": ()}
    plan = builder.build_plan(b"graph", inputs, (4, 1, 4), timings, lambda *step: None)
    assert plan == (b"plan", b"timed")
    assert isinstance(parts.config.progress_monitor, trt.IProgressMonitor)
    for profile, batch in zip(parts.profiles, (1, 4), strict=True):
        shape = (batch, 64, 64, 3)
        assert profile.calls == [
            ("set_shape", "image", shape, shape, shape),
            ("set_shape", "flag", (batch,), (batch,), (batch,)),
        ]
    caches = [call[1] for call in parts.config.calls if call[0] == "create_timing_cache"]
    assert caches == {b"old": [b"old"], b"damaged": [b"damaged", b""]}[timings]


@pytest.mark.skipif(FOR_RTX, reason="it can")
def test_targets_are_refused_where_there_is_no_building_for_them():
    assert library.all_targets() == ()
    library.check_targets([])
    with pytest.raises(ValueError, match="builds for the GPU of this machine only, got the"):
        library.check_targets(["sm_89"])


# What the doubles refuse, against the real library --------------------------------------------


@pytest.mark.skipif(not FOR_RTX, reason="needs the real library")
@pytest.mark.parametrize(
    ("kind", "name", "args", "kwargs"),
    [
        (trt.Builder, "create_network", (1,), {}),
        (trt.Builder, "create_network", ("strong",), {}),
        (trt.Builder, "create_network", (1, 2), {}),
        (trt.Builder, "create_optimization_profile", (), {}),
        (trt.IBuilderConfig, "clear_flag", (trt.BuilderFlag.TF32,), {}),
        (trt.IBuilderConfig, "clear_flag", (6,), {}),
        (trt.IBuilderConfig, "set_memory_pool_limit", (trt.MemoryPoolType.WORKSPACE, 1), {}),
        (trt.IBuilderConfig, "set_memory_pool_limit", (trt.MemoryPoolType.WORKSPACE,), {}),
        (trt.IBuilderConfig, "set_memory_pool_limit", (), {"pool": 1}),
        (trt.IOptimizationProfile, "set_shape", ("image", (1, 2), (1, 2), (1, 2)), {}),
        (trt.IOptimizationProfile, "set_shape", ("image", (1, 2), (1, 2)), {}),
        (trt.IOptimizationProfile, "set_shape", (0, (1, 2), (1, 2), (1, 2)), {}),
        (trt.IOptimizationProfile, "set_shape", ("image", ("a",), (1,), (1,)), {}),
        (trt.Runtime, "deserialize_cuda_engine", (b"no engine",), {}),
        (trt.Runtime, "deserialize_cuda_engine", ("text",), {}),
        (trt.Runtime, "deserialize_cuda_engine", (), {}),
    ],
)
def test_doubles_refuse_what_the_real_library_refuses(kind, name, args, kwargs):
    logger = builder.BuildLogger()
    real_builder = trt.Builder(logger)
    real = {
        trt.Builder: lambda: real_builder,
        trt.IBuilderConfig: real_builder.create_builder_config,
        trt.IOptimizationProfile: real_builder.create_optimization_profile,
        trt.Runtime: lambda: trt.Runtime(logger),
    }[kind]()
    verdicts = []
    for call in (getattr(real, name), getattr(Double(kind), name)):
        try:
            call(*args, **kwargs)
        except TypeError:
            verdicts.append("refused")
        else:
            verdicts.append("taken")
    assert verdicts[0] == verdicts[1]


def reading_of(*kinds: str) -> bytes:
    """Graph whose images are read by nodes of these kinds, one after the other."""
    made = {
        "Cast": lambda x, y: helper.make_node("Cast", [x], [y], to=TensorProto.FLOAT),
        "Transpose": lambda x, y: helper.make_node("Transpose", [x], [y], perm=[0, 3, 1, 2]),
    }
    names = ["image", *(f"t{i}" for i in range(len(kinds) - 1)), "y"]
    nodes = [made[kind](names[i], names[i + 1]) for i, kind in enumerate(kinds)]
    graph = helper.make_graph(
        nodes,
        "images",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 4, 4, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", None, None, None])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


@pytest.mark.skipif(not FOR_RTX, reason="needs the real library")
@pytest.mark.parametrize(
    ("kinds", "refused"),
    [(("Transpose", "Cast"), True), (("Cast", "Transpose"), False), (("Cast",), False)],
)
def test_the_simulated_gpu_knows_the_rule_of_uint8(kinds, refused):
    graph = reading_of(*kinds)
    logger = builder.BuildLogger()
    for check in (
        refuse_uint8,
        lambda graph: builder.parsed_network(trt.Builder(logger), graph, logger),
    ):
        if refused:
            with pytest.raises(ValueError, match="UInt8 but must have type Float"):
                check(graph)
        else:
            check(graph)
