"""A graph that casts its images to float32 before anything else reads them.

TensorRT takes uint8 as the input of a `Cast` and of nothing else, and refuses other graphs while it
parses them. Older model files transpose first. Needs the `onnx` package.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from kp3d_core.inference.outputs import INPUT_NAME

_CAST_NAME = f"{INPUT_NAME}_float32"


def cast_images_first(data: bytes) -> bytes:
    """ONNX file with the same answers; the given bytes if only casts read the images.

    Raises:
        ValueError: something reads the images that cannot read float32.
    """
    model = onnx.load_from_string(data)
    readers = [
        (node, index)
        for node in model.graph.node
        for index, name in enumerate(node.input)
        if name == INPUT_NAME and node.op_type != "Cast"
    ]
    if not readers:
        return data
    for node, index in readers:
        node.input[index] = _CAST_NAME
    cast = helper.make_node(
        "Cast", [INPUT_NAME], [_CAST_NAME], name=f"cast_{INPUT_NAME}", to=TensorProto.FLOAT
    )
    model.graph.node.insert(0, cast)
    del model.graph.value_info[:]  # of the old types
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        kinds = ", ".join(sorted({node.op_type for node, _ in readers}))
        raise ValueError(
            f"The images must be read by nodes that take float32, too, got {kinds} ({error}). Use "
            "a file that `kp3d package` wrote."
        ) from error
    return bytes(model.SerializeToString())
