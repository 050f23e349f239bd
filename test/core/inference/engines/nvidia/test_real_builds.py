"""Engines of the shipped models, made by NVIDIA's real parser and builder without a GPU."""

from __future__ import annotations

import dataclasses
import re

import onnx
import pytest

from kp3d_core.inference import load_model, shipped_models
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.precision import in_precision, tensorrt_graph
from kp3d_core.inference.model import PRECISIONS
from kp3d_core.inference.outputs import INPUT_NAME, output_shapes

try:
    from kp3d_core.inference.engines.nvidia import builder, library, parts, plans
    from kp3d_core.inference.engines.nvidia.library import tensorrt as trt
    from kp3d_core.inference.engines.nvidia.split import FLAG_NAME, split_graph
except ImportError as error:
    pytest.skip(f"needs TensorRT for RTX ({error})", allow_module_level=True)
if not library.all_targets():
    pytest.skip("TensorRT builds on a GPU only", allow_module_level=True)

BATCHES = (1, 4)
TARGETS = ("sm_89",)


def parse(graph: bytes) -> None:
    logger = builder.BuildLogger()
    builder.parsed_network(trt.Builder(logger), graph, logger)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_builds_whole_and_in_parts(name, precision):
    model, precision = in_precision(load_model(name), precision, on_cpu=False)
    whole = tensorrt_graph(model, precision)
    inputs = parts.part_inputs(model) | {"whole": {INPUT_NAME: plans.image_shape(model)}}
    expected = output_shapes(model.keypoints.count)
    seen: set[str] = set()
    for part, graph in {"whole": whole, **split_graph(whole)}.items():
        logger = builder.BuildLogger()
        trt_builder = trt.Builder(logger)
        network = builder.parsed_network(trt_builder, graph, logger)
        given = {t.name: t for t in map(network.get_input, range(network.num_inputs))}
        answers = {t.name: t for t in map(network.get_output, range(network.num_outputs))}
        assert {n: (t.dtype, *t.shape[1:]) for n, t in given.items()} == {
            n: (trt.bool if n == FLAG_NAME else trt.uint8, *s) for n, s in inputs[part].items()
        }
        assert all(tensor.shape[0] == -1 for tensor in given.values())
        assert {n: (t.dtype, *t.shape[1:]) for n, t in answers.items()} == {
            n: (trt.float32, *expected[n]) for n in answers
        }
        if part != "whole":
            assert seen.isdisjoint(answers)
            seen |= set(answers)

        plan, timings = builder.build_plan(graph, inputs[part], BATCHES, targets=TARGETS)
        assert timings == b""  # TensorRT for RTX times no kernels
        assert not library.is_malformed(plan, trt.Runtime(logger))
        # Names of tensors are all of an engine that can be read without a GPU.
        assert {n for n in (*given, *expected) if n.encode() in plan} >= {*given, *answers}
    assert seen == set(expected)


def test_precision_is_that_of_the_convolutions():
    """Strongly typed: what the graph says is what is computed."""
    for precision, kind in (("fp32", trt.float32), ("fp16", trt.float16), ("int8", trt.float32)):
        model, precision = in_precision(load_model("car"), precision, on_cpu=False)
        logger = builder.BuildLogger()
        network = builder.parsed_network(
            trt.Builder(logger), tensorrt_graph(model, precision), logger
        )
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
        assert {layer.get_input(0).dtype for layer in convolutions} == {kind}
        quantizers = [layer for layer in layers if layer.type == trt.LayerType.QUANTIZE]
        assert (len(quantizers) > len(convolutions)) == (precision == "int8")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_the_cast_the_parser_refuses_a_graph(precision):
    """What `cast_images_first` is for; it fails if TensorRT ever takes uint8 as it is."""
    model, precision = in_precision(load_model("car"), precision, on_cpu=False)
    graph = onnx.load_from_string(tensorrt_graph(model, precision))
    parse(graph.SerializeToString())
    cast = next(node for node in graph.graph.node if INPUT_NAME in node.input)
    assert cast.op_type == "Cast"
    graph.graph.node.remove(cast)
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            if name == cast.output[0]:
                node.input[index] = INPUT_NAME
    with pytest.raises(ValueError, match="has type UInt8 but must have type Float"):
        parse(graph.SerializeToString())


def test_settings_of_a_build():
    logger = builder.BuildLogger()
    inputs = {INPUT_NAME: (96, 96, 3), FLAG_NAME: ()}
    config = builder.build_config(trt.Builder(logger), inputs, (4, 1, 4), TARGETS, logger)
    assert config.num_optimization_profiles == 2
    assert config.num_compute_capabilities == 1
    assert config.get_compute_capability(0) == trt.ComputeCapability.SM89
    assert not config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == builder.WORKSPACE_BYTES


def test_profiles_that_do_not_fit_are_refused_in_tensorrts_words(tiny_path):
    model = load_model(tiny_path)
    with pytest.raises(ValueError, match=rf"{library.NAME} {trt.__version__} could not build the"):
        builder.build_plan(
            tensorrt_graph(model, "fp32"), {INPUT_NAME: (64, 64, 3)}, BATCHES, targets=TARGETS
        )
    with pytest.raises(ValueError, match="could not parse the network: .*Failed to parse the ONNX"):
        builder.build_plan(b"no model", {}, BATCHES, targets=TARGETS)


def test_progress_is_handed_on(tiny_path):
    model = load_model(tiny_path)
    seen: list[tuple[str, int, int]] = []
    inputs = {INPUT_NAME: plans.image_shape(model)}
    builder.build_plan(
        tensorrt_graph(model, "fp32"),
        inputs,
        (1,),
        on_progress=lambda *step: seen.append(step),
        targets=TARGETS,
    )
    (first, started, total), (last, finished, _) = seen[0], seen[-1]
    assert first == last
    assert (started, finished) == (0, total)
    assert all(0 <= step <= steps for _, step, steps in seen)
    assert len({phase for phase, *_ in seen}) > 3


def test_engines_ahead_of_time_are_kept_by_target(tiny_path, tmp_path):
    model = load_model(tiny_path)
    options = EngineOptions(cache=tmp_path, batches=BATCHES)
    paths = plans.build_ahead(model, options, ("sm_86", "sm_89"))
    assert len(set(paths)) == 2
    assert all(path.is_file() for path in paths)
    written = [path.stat().st_mtime_ns for path in paths]
    assert plans.build_ahead(model, options, ("sm_86", "sm_89")) == paths
    assert [path.stat().st_mtime_ns for path in paths] == written
    # The robot, whose GPU is an RTX 40, asks for this very key.
    key = plans.key_of(model, dataclasses.replace(options, precision="fp32"), "sm_89")
    assert paths[1].name == key.file_name()
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    damaged = paths[0].stat().st_size
    plans.build_ahead(model, options, ("sm_86",))
    assert paths[0].stat().st_size != damaged


def test_a_folder_that_cannot_be_written_is_an_error_ahead_of_time(tiny_path, tmp_path):
    (tmp_path / "file").touch()
    options = EngineOptions(cache=tmp_path / "file" / "engines", batches=(1,))
    with pytest.raises(ValueError, match=r"must be kept in a folder, got .*engines, which cannot"):
        plans.build_ahead(load_model(tiny_path), options, TARGETS)


def test_targets_are_those_of_the_library():
    known = ", ".join(library.all_targets())
    assert library.all_targets()[0] == "sm_75"
    message = f"must be some of {known}, got sm_90, sm89. Take the compute capability"
    with pytest.raises(ValueError, match=re.escape(message)):
        library.check_targets(["sm_90", "sm_89", "sm89"])


def test_bytes_that_are_no_engine_are_malformed():
    assert library.is_malformed(b"no engine" * 100, trt.Runtime(builder.BuildLogger()))
