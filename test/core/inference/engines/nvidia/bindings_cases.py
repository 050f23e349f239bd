"""Cases that `test_real_bindings.py` runs with the bindings of one version: names and building."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loaded_bindings import Overlay, trt  # noqa: E402, I001
from binding_doubles import Double, check_call, double_class, signatures  # noqa: E402

from kp3d_core.inference import load_model  # noqa: E402
from kp3d_core.inference.engines import EngineOptions  # noqa: E402
from kp3d_core.inference.engines.nvidia import builder  # noqa: E402
from kp3d_core.inference.engines.nvidia import parts as networks  # noqa: E402
from kp3d_core.inference.outputs import output_shapes  # noqa: E402

SOURCES = Path(builder.__file__).parent.glob("*.py")


# The bindings themselves ------------------------------------------------------------------------


def test_version_is_the_one_asked_for():
    assert trt.__version__.startswith(Path(os.environ["KP3D_TEST_BINDINGS"]).name)


def test_every_name_that_the_code_uses_exists():
    chains = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("tensorrt."):
                chains.add(ast.unparse(node))
    assert "tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED" in chains
    for chain in chains:
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

    def __init__(self, parses: bool = True, plan: bytes | None = b"plan") -> None:
        image = Double(trt.ITensor, name="image")
        self.network = Double(
            trt.INetworkDefinition, num_inputs=1, get_input=lambda index: image, num_layers=0
        )
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
            create_network=self.network,
            create_builder_config=self.config,
            create_optimization_profile=self._profile,
            build_serialized_network=plan,
        )
        self.parser = Double(
            trt.OnnxParser,
            parse=parses,
            num_errors=1,
            get_error=Double(trt.ParserError, desc="no importer for NonZero"),
        )

    def _profile(self) -> Double:
        self.profiles.append(Double(trt.IOptimizationProfile))
        return self.profiles[-1]

    def module(self) -> Overlay:
        return Overlay(
            Builder=double_class(trt.Builder, lambda logger: self.builder),
            OnnxParser=double_class(trt.OnnxParser, lambda network, logger: self.parser),
        )


def run_graph(graph: bytes, outputs: list[str], **inputs: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))


def test_the_two_networks_apart_answer_as_both_together(monkeypatch, tmp_path):
    model = load_model("car")
    built = []
    monkeypatch.setattr(
        networks, "build_plan", lambda *arguments: built.append(arguments) or (b"plan", b"")
    )
    paths = networks.build_parts(model, EngineOptions(batches=(2,)), tmp_path)
    assert [path.name for path in paths] == ["car_orientation.engine", "car_keypoints.engine"]
    assert [path.read_bytes() for path in paths] == [b"plan", b"plan"]
    size = (model.input_size, model.input_size, 3)
    assert [inputs for _, inputs, *_ in built] == [{"image": size}, {"image": size, "flag": ()}]

    image = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    names = list(output_shapes(model.keypoints.count))
    expected = run_graph(model.data, names, image=image)
    first = list(networks.ORIENTATION_OUTPUTS)
    got = run_graph(built[0][0], first, image=image)
    flag = got["orientation_uv"][:, 0, 0] > got["orientation_uv"][:, 1, 0]
    others = [name for name in names if name not in first]
    got |= run_graph(built[1][0], others, image=image, flag=flag)
    for name in names:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5)
    turned = run_graph(built[1][0], others, image=image, flag=~flag)
    assert np.abs(turned["keypoints_uv"] - expected["keypoints_uv"]).max() > 1


def test_a_graph_without_a_flag_cannot_be_cut():
    with pytest.raises(ValueError, match="must decide the flag by one comparison, got 0. Use a"):
        networks.split_graph(load_model(os.environ["KP3D_TEST_MODEL"]).data)


def build(monkeypatch, parts: Parts, **options):
    monkeypatch.setattr(builder, "tensorrt", parts.module())
    return builder.build_plan(b"graph", {"image": (64, 64, 3), "flag": ()}, (4, 1, 4), **options)


def test_build_is_strongly_typed_with_one_fixed_profile_per_batch(monkeypatch):
    parts = Parts()
    assert build(monkeypatch, parts, timing_cache=b"old") == (b"plan", b"timed")
    strong = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert ("create_network", strong) in parts.builder.calls
    assert parts.parser.calls == [("parse", b"graph")]
    for profile, batch in zip(parts.profiles, (1, 4), strict=True):
        shape = (batch, 64, 64, 3)
        assert profile.calls == [
            ("set_shape", "image", shape, shape, shape),
            ("set_shape", "flag", (batch,), (batch,), (batch,)),
        ]
    names = [call[0] for call in parts.config.calls]
    assert names.count("add_optimization_profile") == 2
    assert ("clear_flag", trt.BuilderFlag.TF32) in parts.config.calls
    assert ("create_timing_cache", b"old") in parts.config.calls
    assert names.index("set_timing_cache") > names.index("create_timing_cache")


def test_damaged_timing_cache_is_replaced_by_an_empty_one(monkeypatch):
    parts = Parts()
    build(monkeypatch, parts, timing_cache=b"damaged")
    caches = [call[1] for call in parts.config.calls if call[0] == "create_timing_cache"]
    assert caches == [b"damaged", b""]


def test_failures_say_what_tensorrt_said(monkeypatch):
    with pytest.raises(ValueError, match="could not parse the network: no importer for NonZero."):
        build(monkeypatch, Parts(parses=False))
    with pytest.raises(ValueError, match=rf"TensorRT {trt.__version__} could not build the netw"):
        build(monkeypatch, Parts(plan=None))
    logger = builder.BuildLogger()
    logger.log(trt.ILogger.Severity.WARNING, "slow")
    logger.log(trt.ILogger.Severity.ERROR, "out of memory")
    assert "reason" not in str(builder._failure("build", logger.messages))
    assert "out of memory" in str(builder._failure("build", logger.messages))
    assert logger.messages == ["out of memory"]


def test_progress_is_handed_on(monkeypatch):
    seen = []
    parts = Parts()
    build(monkeypatch, parts, on_progress=lambda *step: seen.append(step))
    monitor = parts.config.progress_monitor
    assert isinstance(monitor, trt.IProgressMonitor)
    monitor.phase_start("Timing", "", 3)
    assert monitor.step_complete("Timing", 1) is True
    assert monitor.step_complete("Timing", 0) is True  # repeated or late: never goes back
    monitor.phase_finish("Timing")
    assert seen == [("Timing", 0, 3), ("Timing", 2, 3), ("Timing", 2, 3), ("Timing", 3, 3)]


def test_images_are_cast_before_anything_else_reads_them():
    image, weights = (Double(trt.ITensor, name=name) for name in ("image", "weights"))

    def layer(kind: Any, *inputs: Any) -> Double:
        return Double(trt.ILayer, type=kind, num_inputs=len(inputs), get_input=lambda i: inputs[i])

    kinds = trt.LayerType
    layers = [
        layer(kinds.SHAPE, image),
        layer(kinds.SHUFFLE, image),
        layer(kinds.CAST, image),
        layer(kinds.ELEMENTWISE, weights, image),
        layer(kinds.CONVOLUTION, weights, None),
    ]
    converted = Double(trt.ITensor, name="converted")
    cast = Double(trt.ILayer, get_output=converted)
    network = Double(
        trt.INetworkDefinition,
        num_inputs=2,
        get_input=lambda index: (weights, image)[index],
        num_layers=len(layers),
        get_layer=lambda index: layers[index],
        add_cast=cast,
    )
    builder.convert_images_first(network)
    assert [call for call in network.calls if call[0] == "add_cast"] == [
        ("add_cast", image, trt.float32)
    ]
    changed = [[c for c in each.calls if c[0] == "set_input"] for each in layers]
    assert changed == [
        [],
        [("set_input", 0, converted)],
        [],
        [("set_input", 1, converted)],
        [],
    ]
