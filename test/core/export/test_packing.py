"""Packed weights: the outputs of rounded ones in every engine, the same bytes in the int8 file."""

import copy
import io
import zlib

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from kp3d_core.export.graph import INPUT_NAME
from kp3d_core.export.packing import pack_weights
from kp3d_core.export.quantize import int8_graph
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.onnxruntime_engine import create_session
from kp3d_core.inference.engines.signed import signed_graph
from kp3d_core.inference.engines.unpacking import packed_weights, unpacked_graph
from kp3d_core.models.rounding import fix_steps, layers_in_steps, rounded_weights

STEP = 0.33
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def graph(mirrored_graph):
    graph = copy.deepcopy(mirrored_graph)
    fix_steps(graph.model, STEP)
    return graph


@pytest.fixture(scope="module")
def packed(graph, unpacked):
    data = _packed(unpacked, graph).SerializeToString()
    assert len(data) < 0.35 * len(unpacked)
    return data


def _packed(unpacked, graph, earlier=None):
    """The exported graph with the packed weights of a network of the same kind."""
    proto = onnx.load_from_string(unpacked)
    pack_weights(proto, graph, None if earlier is None else onnx.load_from_string(earlier))
    onnx.checker.check_model(proto, full_check=True)
    return proto


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)


def _in_torch(graph, images):
    with torch.no_grad(), rounded_weights(graph):
        return [values.numpy() for values in graph(torch.from_numpy(images))]


def _in_openvino(data, images):
    openvino = pytest.importorskip("openvino")
    from kp3d_core.inference.engines.openvino_engine import settings

    core = openvino.Core()
    network = core.read_model(io.BytesIO(data))
    compiled = core.compile_model(network, "CPU", settings(EngineOptions(threads=1)))
    return list(compiled({INPUT_NAME: images}).to_dict().values())


@pytest.fixture(scope="module")
def expected(graph, images):
    return _in_torch(graph, images)


def _differences(outputs, expected):
    return [float(np.abs(a - b).max()) for a, b in zip(outputs[:2], expected[:2], strict=True)]


@pytest.mark.parametrize("quantized", [False, True])
def test_onnxruntime_unpacks(packed, images, expected, quantized):
    session = create_session(packed, EngineOptions(threads=1), quantized)
    # float32, summed in another order [px, model units]
    assert max(_differences(session.run(None, {INPUT_NAME: images}), expected)) < 1e-3


def test_openvino_unpacks_and_computes_in_float32(packed, images, expected):
    assert max(_differences(_in_openvino(packed, images), expected)) < 1e-3


def test_plain_weights_for_those_that_take_no_others(packed, images, expected):
    plain = unpacked_graph(packed)
    assert not any(n.op_type == "DequantizeLinear" for n in onnx.load_from_string(plain).graph.node)
    session = create_session(plain, EngineOptions(threads=1))
    assert max(_differences(session.run(None, {INPUT_NAME: images}), expected)) < 1e-3


def test_the_int8_graph_shares_the_bytes_and_still_computes_the_same(packed, images, expected):
    quantized = onnx.load_from_string(int8_graph(packed, [images]))
    constants = {c.name: c for c in quantized.graph.initializer}
    weights = packed_weights(onnx.load_from_string(packed))
    assert len(weights) > 20
    for name, weight in weights.items():
        assert np.array_equal(numpy_helper.to_array(constants[f"{name}_quantized"]), weight.base)
        assert np.array_equal(numpy_helper.to_array(constants[f"{name}_scale"]), weight.steps)
    # Biases still count in steps of inputs times weights, as quantized arithmetic adds them.
    for node in quantized.graph.node:
        bias = constants.get(node.input[0])
        if node.op_type == "DequantizeLinear" and bias is not None and bias.data_type == 6:
            (conv,) = (n for n in quantized.graph.node if node.output[0] in n.input)
            makers = [n for n in quantized.graph.node if n.output[0] in conv.input[:2]]
            scales = [numpy_helper.to_array(constants[n.input[1]]) for n in makers]
            np.testing.assert_allclose(
                numpy_helper.to_array(constants[node.input[1]]), scales[0] * scales[1], rtol=1e-5
            )
    for data in (quantized.SerializeToString(), signed_graph(quantized.SerializeToString())):
        outputs = create_session(data, EngineOptions(threads=1), quantized=True).run(
            None, {INPUT_NAME: images}
        )
        # Heatmaps of a random network are flat: rounded activations move their means little.
        assert max(_differences(outputs, expected)) < 0.5


@pytest.fixture(scope="module")
def trained_on(graph):
    """The network with a tenth of its weights a step further, and its file on top of `packed`."""
    moved = copy.deepcopy(graph)
    torch.manual_seed(1)
    for layer in layers_in_steps(moved).values():
        steps = layer.weight_steps.view(-1, *[1] * (layer.weight.ndim - 1))
        layer.weight.data += steps * (torch.rand_like(layer.weight) < 0.1)
    return moved


@pytest.fixture(scope="module")
def changed(packed, unpacked, trained_on):
    return _packed(unpacked, trained_on, packed).SerializeToString()


@pytest.fixture(scope="module")
def expected_of_changed(trained_on, images):
    return _in_torch(trained_on, images)


def test_changes_since_an_earlier_file_compress_to_little(packed, changed):
    before, after = (packed_weights(onnx.load_from_string(data)) for data in (packed, changed))
    assert all(np.array_equal(weight.base, before[name].base) for name, weight in after.items())
    changes = np.concatenate([weight.change.ravel() for weight in after.values()])
    assert np.mean(changes != 0) == pytest.approx(0.1, abs=0.01)
    everything = np.concatenate([weight.numbers.ravel() for weight in after.values()])
    sizes = [len(zlib.compress(values.tobytes())) for values in (changes, everything)]
    assert sizes[0] < 0.3 * sizes[1]


@pytest.mark.parametrize("quantized", [False, True])
def test_engines_add_changes_up(changed, expected_of_changed, images, quantized):
    data = changed
    if quantized:
        data = int8_graph(changed, [images])
        shared = {c.name: c for c in onnx.load_from_string(data).graph.initializer}
        for name, weight in packed_weights(onnx.load_from_string(changed)).items():
            for suffix, values in (("_quantized", weight.base), ("_change", weight.change)):
                assert np.array_equal(numpy_helper.to_array(shared[name + suffix]), values)
    plain = signed_graph(data) if quantized else unpacked_graph(data)
    tolerance = 0.5 if quantized else 1e-3  # as above
    for graph in (data, plain):
        session = create_session(graph, EngineOptions(threads=1), quantized)
        outputs = session.run(None, {INPUT_NAME: images})
        assert max(_differences(outputs, expected_of_changed)) < tolerance
    # Nodes that would add in every run are gone once the graph is loaded.
    assert "_change" not in str(onnx.load_from_string(plain).graph.node)


def test_openvino_adds_changes_up(changed, expected_of_changed, images):
    assert max(_differences(_in_openvino(changed, images), expected_of_changed)) < 1e-3


def test_a_change_of_a_change_starts_from_the_first_file(packed, unpacked, changed, graph):
    again = packed_weights(_packed(unpacked, graph, changed))
    for name, weight in packed_weights(onnx.load_from_string(packed)).items():
        assert again[name].change is None  # back to where it was
        assert np.array_equal(again[name].base, weight.base)


def test_files_of_other_networks_are_refused(graph, packed, unpacked):
    other = copy.deepcopy(graph)
    next(iter(layers_in_steps(other).values())).weight_steps.mul_(1.1)
    with pytest.raises(ValueError, match="polished from, got other steps of"):
        _packed(unpacked, other, packed)
    with pytest.raises(ValueError, match="must be a packed one of the same network"):
        _packed(unpacked, graph, unpacked)
