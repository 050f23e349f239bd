"""MediaPipe Objectron's networks beside a model of ours, on photographs without truth.

`python -m kp3d_core.benchmark.objectron BOXES.json chair NETWORK.tflite --model chair`

BOXES.json is like truth_kp3d.json, without poses: `{"frames": [{"image", "K", "objects": [{"cls",
"bbox_xyxy"}]}]}`; without `K` the focal length is taken to be the longer side. The networks are in
the npm package `@mediapipe/objectron` (Apache-2.0) and run by `ai-edge-litert`.

Without truth, agreement is what can be told: the rotation of an object in the mirrored photograph
is the mirrored one, and a box moved a bit shows the same object. Who says the same of everything
agrees perfectly, so this is no accuracy. Our models look at each crop and at its mirror image, so
their agreement with the mirrored photograph is there by construction.

References: Ahmadyan et al., "Objectron", CVPR 2021; box_landmark_cpu.pbtxt of MediaPipe (the crop,
the presence of 0.1); Lepetit et al., "EPnP", IJCV 2009 (the lift).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.truth import finite_array
from kp3d_core.geometry.rotation import rotation_angle
from kp3d_core.inference import (
    CameraModel,
    Detector,
    Engine,
    Model,
    create_engine,
    load_model,
)
from kp3d_core.inference.settings import DetectorSettings
from kp3d_core.inference.view import Region

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]
Finder = Callable[[Image, CameraModel, Region], tuple[FloatArray, bool]]
"""Finds the rotation of the object in a box, and whether it stands by it."""

CORNERS = np.array(
    [(0, 0, 0)] + [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
)
"""Of their box, in units of its edges: centre and corners; x right, y up, z backward."""
_CROP = 1.5
"""Side of their crop, in units of the box's longer side."""
_PRESENCE = 0.1
_MOVES = [(dx, dy, 1.0) for dx, dy in ((0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1))]
_MOVES += [(0.0, 0.0, 0.85), (0.0, 0.0, 1.15)]
"""Moved boxes: shift in units of the box, scale."""
_ROUNDS = 8
"""Times that each object is timed, one way after the other, so that all meet the same load."""


class Objectron:
    """One of their networks: nine points of the object's box, lifted to a rotation."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the network.

        Raises:
            ValueError: LiteRT is not installed, or it is no such network.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ValueError(
                "Objectron's networks need LiteRT, which is not installed. Run "
                "pip install 'kp3d[peer]'."
            ) from error
        try:
            self._net = Interpreter(model_path=str(path), num_threads=threads)
            self._net.allocate_tensors()
            self._input = self._net.get_input_details()[0]
            outputs = {tuple(d["shape"]): d["index"] for d in self._net.get_output_details()}
            if set(outputs) != {(1, 18), (1, 1)}:
                raise ValueError(f"outputs of shapes {sorted(outputs)}")
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{path} must be a network that puts out 9 points and a presence, got {error}. Use "
                "object_detection_3d_*.tflite of @mediapipe/objectron."
            ) from error
        self._points, self._presence = outputs[1, 18], outputs[1, 1]
        self.side = int(self._input["shape"][1])

    def __call__(
        self, image: Image, camera: CameraModel, region: Region
    ) -> tuple[FloatArray, bool]:
        """Rotation of their box in the camera frame, and whether the network sees the object."""
        crop, T_image_crop = _crop(image, region, self.side)
        points, presence = self.run((crop[None] / 255).astype(np.float32))
        uv = points @ T_image_crop[:, :2].T + T_image_crop[:, 2]
        return lift(uv, camera.K), presence > _PRESENCE

    def run(self, batch: NDArray[np.float32]) -> tuple[FloatArray, float]:
        """The network alone: points in the crop, shape (9, 2) [px], and presence in 0..1."""
        self._net.set_tensor(self._input["index"], batch)
        self._net.invoke()
        points = self._net.get_tensor(self._points).reshape(9, 2).astype(np.float64)
        return points, float(self._net.get_tensor(self._presence)[0, 0])


def _crop(image: Image, region: Region, side: int) -> tuple[Image, FloatArray]:
    """Square around a box, and the affine map, shape (2, 3), from its pixels to the image's."""
    scale = _CROP * max(region.width, region.height) / side
    middle = np.array([region.x + region.width / 2, region.y + region.height / 2])
    T = np.column_stack([scale * np.eye(2), middle - scale * (side - 1) / 2])
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(image, (0, 0), scale / 2) if scale > 1.5 else image
    crop = cv2.warpAffine(smooth, T, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8), T


def lift(uv: FloatArray, K: FloatArray) -> FloatArray:
    """Rotation of a box of unknown size from its centre and corners, in the optical frame.

    The nine points are combinations of centre and edges, 12 unknowns up to scale; each point gives
    two equations that are linear in them. The edges' directions are made orthogonal at the end.

    Args:
        uv: in the order of `CORNERS`, shape (9, 2) [px].
        K: intrinsics.
    """
    rays = (uv - K[:2, 2]) / K[[0, 1], [0, 1]]
    weights = np.column_stack([np.ones(9), CORNERS])  # centre, three edges
    rows = [
        np.kron(w, (axis == 0, axis == 1, -ray[axis]))
        for w, ray in zip(weights, rays, strict=True)
        for axis in (0, 1)
    ]
    solution = np.linalg.svd(np.array(rows, np.float64))[2][-1].reshape(4, 3)
    edges = solution[1:] * np.sign(solution[0, 2])
    u, _, vt = np.linalg.svd((edges / np.linalg.norm(edges, axis=1, keepdims=True)).T)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def agreement(
    find: Finder, image: Image, camera: CameraModel, region: Region, mirrors: list[FloatArray]
) -> dict[str, Any]:
    """Angles between what is found in a photograph, in its mirror image and in moved boxes [rad].

    Args:
        find: what is judged.
        image: RGB.
        camera: calibration.
        region: box of the object.
        mirrors: reflections, shape (3, 3), that an object may have; one angle for each.
    """
    R, stands = find(image, camera, region)
    flipped = np.ascontiguousarray(image[:, ::-1])
    K = camera.K.copy()
    K[0, 2] = image.shape[1] - 1 - K[0, 2]
    there = replace(region, x=image.shape[1] - 1 - region.x - region.width)
    R_flipped, _ = find(flipped, CameraModel(K, camera.width, camera.height), there)
    expected = [np.diag([-1.0, 1, 1]) @ R @ mirror for mirror in mirrors]
    moved = [find(image, camera, _moved(region, *move))[0] for move in _MOVES]
    return {
        "stands": stands,
        "mirror": [float(rotation_angle(R_flipped, e)) for e in expected],
        "moved": [float(rotation_angle(other, R)) for other in moved],
        "rotation": R,
    }


def _moved(region: Region, dx: float, dy: float, scale: float) -> Region:
    width, height = scale * region.width, scale * region.height
    x = region.x + dx * region.width + (region.width - width) / 2
    y = region.y + dy * region.height + (region.height - height) / 2
    return Region(x, y, width, height)


def _ours(model: Model, engine: Engine, looks: int) -> Finder:
    detector = Detector(model, engine, settings=DetectorSettings(max_runs=looks))

    def find(image: Image, camera: CameraModel, region: Region) -> tuple[FloatArray, bool]:
        found = detector.detect(image, camera, region)
        return np.asarray(found.T_camera_object[:3, :3], np.float64), not found.problems

    return find


def _read(path: Path, category: str) -> list[tuple[Image, CameraModel, Region]]:
    objects = []
    try:
        for frame in json.loads(path.read_text())["frames"]:
            file = path.parent / frame["image"]
            bgr = cv2.imread(str(file))
            if bgr is None:
                raise ValueError(f"{file} is no picture that OpenCV can read")
            height, width = bgr.shape[:2]
            side = max(width, height)
            K = frame.get("K", [[side, 0, (width - 1) / 2], [0, side, (height - 1) / 2], [0, 0, 1]])
            camera = CameraModel(finite_array(K, (3, 3), "K"), width, height)
            for values in frame["objects"]:
                if values["cls"] == category:
                    x0, y0, x1, y1 = finite_array(values["bbox_xyxy"], (4,), "bbox_xyxy").tolist()
                    image = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
                    objects.append((image, camera, Region(x0, y0, x1 - x0, y1 - y0)))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} must hold {{"frames": [{{"image", "objects": [{{"cls", "bbox_xyxy"}}]}}]}}, '
            f"got {error!r}. Mend it."
        ) from error
    if not objects:
        raise ValueError(f"{path} must have boxes of {category!r}, got none.")
    return objects


def compare(
    boxes: Path, category: str, network: Path, model: str | None, looks: int, threads: int
) -> dict[str, dict[str, Any]]:
    """Times [ms] and agreement [deg] of theirs and, if a model is named, of ours.

    Ours is measured with one look and with at most `looks`. Theirs is mirrored in the plane that
    suits it better, x or z. `sameness` is 1 for who finds the same rotation in every box.
    """
    objects = _read(boxes, category)
    theirs = [np.diag([-1.0, 1, 1]), np.diag([1.0, 1, -1])]
    finders: dict[str, tuple[Finder, list[FloatArray]]] = {
        "theirs": (Objectron(network, threads), theirs)
    }
    if model is not None:
        loaded = load_model(model)
        engine = create_engine(loaded, threads=threads)
        for count in sorted({1, looks}):
            name = f"{loaded.name}, {engine.name} {engine.precision}, looks: {count}"
            finders[name] = (_ours(loaded, engine, count), [np.diag([1.0, -1, 1])])
    result = {}
    rows = {
        who: [agreement(find, *entry, mirrors) for entry in objects]
        for who, (find, mirrors) in finders.items()
    }
    times = _times([find for find, _ in finders.values()], objects)
    for (who, found), took in zip(rows.items(), times, strict=True):
        mirror = np.degrees([row["mirror"] for row in found])
        mean = np.mean([row["rotation"] for row in found], axis=0)
        result[who] = {
            "objects": len(found),
            "stands_by": float(np.mean([row["stands"] for row in found])),
            "ms": {"median": float(np.median(took)), "best": min(took)},
            "mirror_deg": _figures(mirror[:, np.median(mirror, axis=0).argmin()]),
            "moved_deg": _figures(np.degrees([row["moved"] for row in found])),
            "sameness": float(np.linalg.norm(mean) / np.sqrt(3)),
        }
    return result


def _times(
    finders: list[Finder], objects: list[tuple[Image, CameraModel, Region]]
) -> list[list[float]]:
    """Of each finder for each object [ms]."""
    times: list[list[float]] = [[] for _ in finders]
    for entry in objects * _ROUNDS:
        for find, took in zip(finders, times, strict=True):
            start = time.perf_counter()
            find(*entry)
            took.append(1e3 * (time.perf_counter() - start))
    return times


def _figures(angles: FloatArray) -> dict[str, float]:
    return {
        "mean": float(angles.mean()),
        "median": float(np.median(angles)),
        "within_30": float((angles <= 30).mean()),
    }


def main(
    boxes: Annotated[Path, typer.Argument(help="JSON file of photographs with boxes.")],
    category: Annotated[str, typer.Argument(help="Class of the boxes to look at.")],
    network: Annotated[Path, typer.Argument(help="Objectron's .tflite file.")],
    model: Annotated[str | None, typer.Option(help="Model of ours to put beside it.")] = None,
    looks: Annotated[int, typer.Option(help="Most engine calls of ours for an object.")] = 4,
    threads: Annotated[int, typer.Option(help="Threads of each engine.")] = 2,
) -> None:
    """Compare Objectron's network with a model of ours on photographs without truth."""
    typer.echo(json.dumps(compare(boxes, category, network, model, looks, threads), indent=2))


if __name__ == "__main__":
    typer.run(main)
