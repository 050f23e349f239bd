"""A model file without training: it reads coloured discs, so that the truth is known exactly.

Each keypoint is a disc. Red and green name the keypoint, blue is its depth relative to the object's
origin, and the total area of the discs is the apparent size. `draw_scene` draws such discs with
OpenCV through a real camera model, independently of the code under test.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

DISTANCE = 30.0
NAMES = ("front", "back", "left_wheel", "right_wheel", "roof", "tail")
CANONICAL = np.array(
    [
        [0.95, 0.0, 0.05],
        [-0.95, 0.0, 0.1],
        [0.55, 0.4, -0.3],
        [0.5, -0.4, -0.3],
        [-0.1, 0.1, 0.4],
        [-0.7, -0.35, 0.25],
    ]
)
_LEVEL = 240.0
"""Length of (red, green) of every disc; a disc's edge, mixed with black, is shorter than that."""
_ANGLES = np.linspace(0, math.pi / 2, len(NAMES))
COLORS_RG = np.round(_LEVEL * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1))
_DEPTH_GAIN = 100.0
"""Grey levels of blue per model unit of depth; 128 is the depth of the origin."""
_DISC_RADIUS = 0.07
"""[model units]"""


def focal_px(input_size: int) -> float:
    """Focal length of the paper's training camera at an input size."""
    return input_size / 2 / math.tan(math.radians(2.5))


def metadata(input_size: int = 128) -> dict[str, Any]:
    """Metadata that fits the graph; tests change it to be wrong."""
    from kp3d_core.inference.model import Calibration  # after jaxtyping's checks are installed

    colors = np.column_stack([COLORS_RG, np.full(len(NAMES), 128)]) / 255
    return {
        "format_version": 2,
        "name": "tiny",
        "category": "discs",
        "version": "1.0",
        "precision": "fp32",
        "input_size": input_size,
        "training_camera": {"focal_px": focal_px(input_size), "distance": DISTANCE},
        "keypoints": {
            "names": list(NAMES),
            "colors": colors.tolist(),
            "edges": [[0, 2], [0, 3], [1, 5], [4, 5]],
            "canonical": CANONICAL.tolist(),
            "spread": np.full((len(NAMES), 3), 0.01).tolist(),
        },
        "calibration": asdict(
            Calibration(
                keypoint_uv_scale=0.2,
                keypoint_uv_floor_px=0.1,
                keypoint_depth_scale=1.0,
                keypoint_depth_floor=0.01,
                scale_std=0.02,
            )
        ),
        "symmetry": "none",
        "metrics": {"rotation_deg": {"median": 0.1}},
        "provenance": {"command": "test", "config": {}, "commit": "", "created": ""},
    }


def write_tiny_model(
    path: str | Path,
    *,
    input_size: int = 128,
    kp3d_metadata: dict[str, Any] | str | None = None,
    omit_output: str | None = None,
    orientation_score: float = 0.99,
) -> Path:
    """Write the model file.

    Args:
        path: file to write.
        input_size: width and height of the graph's input [px].
        kp3d_metadata: replaces the fitting metadata; a string is written as it is.
        omit_output: name of an output to leave out.
        orientation_score: constant that the model returns.
    """
    graph = _Graph()
    _build(graph, input_size, orientation_score)
    n = len(NAMES)
    shapes: dict[str, list[int | str]] = {
        "keypoints_uv": ["B", n, 2],
        "keypoints_depth": ["B", n],
        "covariance": ["B", n, 3, 3],
        "score": ["B", n],
        "scale": ["B"],
        "orientation_uv": ["B", 2, 2],
        "orientation_score": ["B"],
    }
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tiny",
            [
                helper.make_tensor_value_info(
                    "image", TensorProto.UINT8, ["B", input_size, input_size, 3]
                )
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
                if name != omit_output
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    text = metadata(input_size) if kp3d_metadata is None else kp3d_metadata
    helper.set_model_props(proto, {"kp3d": text if isinstance(text, str) else json.dumps(text)})
    return save_sealed(proto, path)


def save_sealed(proto: onnx.ModelProto, path: str | Path) -> Path:
    """Write a model file as the exporter does."""
    from kp3d_core.inference.seal import seal  # after jaxtyping's checks are installed

    Path(path).write_bytes(seal(proto.SerializeToString()))
    return Path(path)


def draw_scene(
    camera: Any,
    T_camera_object: NDArray[np.float64],
    unit_m: float = 1.0,
    points_object: NDArray[np.float64] = CANONICAL,
) -> NDArray[np.uint8]:
    """RGB image of the discs through a camera with lens distortion, drawn by OpenCV alone.

    Args:
        camera: has K, distortion, distortion_model, width and height.
        T_camera_object: pose, translation in metres.
        unit_m: metres per model unit.
        points_object: keypoints of this instance, shape (6, 3) [model units].
    """
    points = points_object * unit_m @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
    uv = project_with_opencv(camera, points)
    center = T_camera_object[:3, 3]
    distance = float(np.linalg.norm(center))
    depth = (points - center) @ (center / distance) / unit_m
    # Lenses show an object near the edge larger than in the middle; measure it where it is.
    zoom = _local_zoom(camera, center)
    radius = _DISC_RADIUS * unit_m / distance * zoom
    subpixels, shift = 8, 6  # draw large and average: exact areas, no half-pixel surprises
    canvas = np.zeros((camera.height * subpixels, camera.width * subpixels, 3), np.uint8)
    for i in np.argsort(-depth):
        color = (*COLORS_RG[i], round(128 + _DEPTH_GAIN * float(depth[i])))
        middle = np.round(((uv[i] + 0.5) * subpixels - 0.5) * 2**shift).astype(int)
        cv2.circle(
            canvas,
            (int(middle[0]), int(middle[1])),
            round((radius * subpixels - 0.5) * 2**shift),  # OpenCV fills half a pixel more
            tuple(int(c) for c in color),
            cv2.FILLED,
            shift=shift,
        )
    return cv2.resize(canvas, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def project_with_opencv(camera: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of points, by OpenCV's own functions."""
    K, zero = np.asarray(camera.K, np.float64), np.zeros(3)
    points = np.ascontiguousarray(points, np.float64).reshape(-1, 1, 3)
    D = np.asarray(camera.distortion, np.float64)
    if camera.distortion_model == "equidistant" and len(D):
        uv, _ = cv2.fisheye.projectPoints(points, zero.reshape(1, 1, 3), zero, K, D)
    else:
        uv, _ = cv2.projectPoints(points, zero, zero, K, D if len(D) else np.zeros(5))
    return np.asarray(uv, np.float64).reshape(-1, 2)


def _local_zoom(camera: Any, center: NDArray[np.float64]) -> float:
    """Pixels per radian around a direction: root of the area factor."""
    z = center / np.linalg.norm(center)
    x = np.cross([0, 1, 0], z)
    x /= np.linalg.norm(x)
    step = 1e-3
    around = project_with_opencv(camera, np.stack([z, z + step * x, z + step * np.cross(z, x)]))
    a, b = (around[1] - around[0]) / step, (around[2] - around[0]) / step
    return math.sqrt(abs(a[0] * b[1] - a[1] * b[0]))


class _Graph:
    """Collects nodes and constants with generated names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def sum(self, value: str, axes: list[int], output: str | None = None) -> str:
        return self.add(
            "ReduceSum", value, self.constant(axes, np.int64), output=output, keepdims=0
        )


def _build(g: _Graph, size: int, orientation_score: float) -> None:
    n = len(NAMES)
    image = g.add("Cast", "image", to=TensorProto.FLOAT)
    rg = g.add("Gather", image, g.constant([0, 1], np.int64), axis=3)
    blue = g.add("Gather", image, g.constant(2, np.int64), axis=3)
    rg = g.add("Unsqueeze", rg, g.constant([1], np.int64))
    blue = g.add("Unsqueeze", blue, g.constant([1], np.int64))

    # A pixel votes for the keypoint whose colour it has, the more the closer.
    difference = g.add("Sub", rg, g.constant(COLORS_RG.reshape(1, n, 1, 1, 2)))
    distance = g.sum(g.add("Mul", difference, difference), [4])
    mask = g.add(
        "Relu", g.add("Sub", g.constant(1.0), g.add("Mul", distance, g.constant(1 / 30.0**2)))
    )
    mass = g.add("Add", g.sum(mask, [2, 3]), g.constant(1e-6))

    def mean(values: str) -> str:
        return g.add("Div", g.sum(g.add("Mul", mask, values), [2, 3]), mass)

    v_grid, u_grid = np.mgrid[0:size, 0:size].reshape(2, 1, 1, size, size)
    grids = (g.constant(u_grid), g.constant(v_grid))
    u, v = mean(grids[0]), mean(grids[1])
    z = g.add("Mul", g.add("Sub", mean(blue), g.constant(128.0)), g.constant(1 / _DEPTH_GAIN))
    last = g.constant([2], np.int64)
    uv = g.add(
        "Concat",
        g.add("Unsqueeze", u, last),
        g.add("Unsqueeze", v, last),
        output="keypoints_uv",
        axis=2,
    )
    g.add("Add", z, g.constant(DISTANCE), output="keypoints_depth")

    # Central second moments of the discs; depth gets a small constant of its own.
    rows = []
    offsets = [
        g.add("Sub", grid, g.add("Unsqueeze", m, g.constant([2, 3], np.int64)))
        for grid, m in zip(grids, (u, v), strict=True)
    ]
    zero = g.add("Mul", u, g.constant(0.0))
    small = g.add("Add", zero, g.constant(0.02**2))
    moment = [[mean(g.add("Mul", a, b)) for b in offsets] for a in offsets]
    for row in ([*moment[0], zero], [*moment[1], zero], [zero, zero, small]):
        columns = [g.add("Unsqueeze", value, last) for value in row]
        rows.append(
            g.add("Unsqueeze", g.add("Concat", *columns, axis=2), g.constant([2], np.int64))
        )
    g.add("Concat", *rows, output="covariance", axis=2)

    g.add("Min", mass, g.constant(4.0), output="mass_at_most")
    g.add("Mul", "mass_at_most", g.constant(0.25), output="score")

    # |(red, green)| is the coverage of a pixel, edges included: the sum is the discs' area.
    coverage = g.add("Sqrt", g.sum(g.add("Mul", rg, rg), [4]))
    area = g.sum(coverage, [1, 2, 3])
    radius_px = _DISC_RADIUS * focal_px(size) / DISTANCE
    full = n * math.pi * radius_px**2 * _LEVEL
    g.add("Sqrt", g.add("Mul", area, g.constant(1 / full)), output="scale")

    g.add("Gather", uv, g.constant([0, 1], np.int64), output="orientation_uv", axis=1)
    nothing = g.add("Mul", area, g.constant(0.0))
    g.add("Add", nothing, g.constant(orientation_score), output="orientation_score")
