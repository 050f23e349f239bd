"""Each of the two networks as an engine of its own, for pipelines that run engines themselves."""

from __future__ import annotations

from pathlib import Path

import onnx

from kp3d_core.files import atomic_writer
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.nvidia.builder import build_plan
from kp3d_core.inference.engines.precision import in_precision, tensorrt_graph
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME

FLAG_NAME = "flag"
"""Input of the keypoint network: bool (B,), true where the front is right of the back."""
ORIENTATION_OUTPUTS = ("orientation_uv", "orientation_score", "scale")


def build_parts(model: Model, options: EngineOptions, folder: Path) -> list[Path]:
    """Write `<name>_orientation.engine` and `<name>_keypoints.engine`; they hold engines only.

    The first gives `ORIENTATION_OUTPUTS`, the second all others from the image and the flag.

    Raises:
        ValueError: the graph cannot be cut, or TensorRT cannot build a part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image: dict[str, tuple[int, ...]] = {INPUT_NAME: (model.input_size, model.input_size, 3)}
    inputs = {
        "orientation": image,
        "keypoints": image | {FLAG_NAME: ()},
    }
    paths = []
    model, precision = in_precision(model, options.precision, on_cpu=False)
    for part, graph in split_graph(tensorrt_graph(model, precision)).items():
        plan, _ = build_plan(graph, inputs[part], options.batches, b"", options.on_progress)
        path = folder / f"{model.name}_{part}.engine"
        with atomic_writer(path) as stream:
            stream.write(plan)
        paths.append(path)
    return paths


def split_graph(data: bytes) -> dict[str, bytes]:
    """The graph up to the orientation, and the graph from image and flag to the keypoints."""
    # Files say nothing of the types of tensors between inputs and outputs.
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    decisions = [node for node in model.graph.node if node.op_type == "Greater"]
    if len(decisions) != 1:
        raise ValueError(
            f"A graph to split must decide the flag by one comparison, got {len(decisions)}. Use a "
            "file that `kp3d export` wrote, or build one engine for both networks."
        )
    flag = decisions[0].output[0]
    keypoint_outputs = [
        value.name for value in model.graph.output if value.name not in ORIENTATION_OUTPUTS
    ]
    extractor = onnx.utils.Extractor(model)
    orientation = extractor.extract_model([INPUT_NAME], list(ORIENTATION_OUTPUTS))
    keypoints = extractor.extract_model([INPUT_NAME, flag], keypoint_outputs)
    for node in keypoints.graph.node:
        for index, name in enumerate(node.input):
            if name == flag:
                node.input[index] = FLAG_NAME
    next(value for value in keypoints.graph.input if value.name == flag).name = FLAG_NAME
    return {
        "orientation": orientation.SerializeToString(),
        "keypoints": keypoints.SerializeToString(),
    }
