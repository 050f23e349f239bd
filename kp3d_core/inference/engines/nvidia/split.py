"""A graph cut into its two networks. Needs the `onnx` package, and none of NVIDIA's."""

from __future__ import annotations

import onnx

from kp3d_core.inference.outputs import INPUT_NAME

FLAG_NAME = "flag"
"""Input of the keypoint network: bool (B,), true where the front is right of the back."""
ORIENTATION_OUTPUTS = ("orientation_uv", "orientation_score", "scale")


def split_graph(data: bytes) -> dict[str, bytes]:
    """The graph up to the orientation, and the graph from image and flag to the keypoints."""
    # Files say nothing of the types of tensors between inputs and outputs.
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    decisions = [node for node in model.graph.node if node.op_type == "Greater"]
    if len(decisions) != 1:
        raise ValueError(
            f"A graph to split must decide the flag by one comparison, got {len(decisions)}. Use a "
            "file that `kp3d package` wrote, or build one engine for both networks."
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
