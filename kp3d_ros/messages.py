"""Results of the core as ROS messages. Units and frames: docs/conventions.md."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.inference import CameraModel, Detection, Model
from kp3d_ros.msg import Keypoint3D, KeypointLayout, Keypoints3D
from kp3d_ros.rotations import quat_xyzw

INSTANCE = np.dtype(
    [
        ("score", "<f4"),
        ("orientation_score", "<f4"),
        ("metric", "u1"),
        ("scale_source", "u1"),
        ("model_unit_m", "<f8"),
    ]
)
"""Numbers of a Keypoints3D message, in its order."""
KEYPOINT = np.dtype(
    [
        ("position", "<f8", 3),
        ("covariance", "<f8", 9),
        ("score", "<f4"),
        ("uv", "<f8", 2),
        ("visibility", "u1"),
    ]
)
"""Numbers of a Keypoint3D message, in its order."""
SPHERE_DIAMETER = 0.09
"""Diameter of a keypoint's marker [model units]."""
EDGE_WIDTH = 0.02
"""Width of a skeleton edge [model units]."""
TEXT_HEIGHT = 0.2
"""Height of an object's name [model units]."""
SPHERES, EDGES, NAME = 0, 1, 2
"""Ids of an object's markers."""


def pose_message(
    header: Header, T: NDArray[np.float64], covariance: NDArray[np.float64]
) -> PoseWithCovarianceStamped:
    """Pose `T_a_b` with a = header.frame_id.

    Args:
        header: stamp of the image, frame a.
        T: pose, shape (4, 4) [m].
        covariance: shape (6, 6), order x, y, z, rotX, rotY, rotZ about the fixed axes of a.
    """
    return PoseWithCovarianceStamped(header=header, pose=pose_with_covariance(T, covariance))


def pose_with_covariance(
    T: NDArray[np.float64], covariance: NDArray[np.float64]
) -> PoseWithCovariance:
    """The same without a header."""
    x, y, z = T[:3, 3].tolist()
    pose = Pose(position=Point(x=x, y=y, z=z), orientation=_orientation(T))
    return PoseWithCovariance(
        pose=pose, covariance=np.ascontiguousarray(covariance, np.float64).ravel()
    )


def transform_message(
    header: Header, child_frame_id: str, T: NDArray[np.float64]
) -> TransformStamped:
    """Transform from `child_frame_id` to header.frame_id."""
    x, y, z = T[:3, 3].tolist()
    return TransformStamped(
        header=header,
        child_frame_id=child_frame_id,
        transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=_orientation(T)),
    )


def _orientation(T: NDArray[np.float64]) -> Quaternion:
    x, y, z, w = quat_xyzw(T[:3, :3])
    return Quaternion(x=x, y=y, z=z, w=w)


def layout_message(
    header: Header, model: Model, class_id: str, unit_m: float | None
) -> KeypointLayout:
    """What is fixed about the keypoints of a model; `unit_m` is None if the scale is not known."""
    keypoints = model.keypoints
    return KeypointLayout(
        header=header,
        class_id=class_id,
        model_name=model.name,
        model_version=model.version,
        names=list(keypoints.names),
        edges=np.asarray(keypoints.edges, np.uint32).ravel().tolist(),
        colors=_colors(keypoints.colors),
        canonical_points=[Point(x=x, y=y, z=z) for x, y, z in _rows(keypoints.canonical)],
        canonical_spread=[Vector3(x=x, y=y, z=z) for x, y, z in _rows(keypoints.spread)],
        symmetry=model.symmetry,
        model_unit_m=math.nan if unit_m is None else unit_m,
    )


def instance_message(
    header: Header,
    detection: Detection,
    model: Model,
    camera: CameraModel,
    instance_id: str,
    class_id: str,
    *,
    from_depth: bool = False,
) -> Keypoints3D:
    """The keypoints of one object."""
    numbers = instance_numbers(detection, model, from_depth=from_depth)
    return Keypoints3D(
        header=header,
        instance_id=instance_id,
        class_id=class_id,
        score=float(numbers["score"]),
        orientation_score=float(numbers["orientation_score"]),
        metric=bool(numbers["metric"]),
        scale_source=int(numbers["scale_source"]),
        model_unit_m=float(numbers["model_unit_m"]),
        keypoints=_keypoints(keypoint_numbers(detection, camera), model),
    )


def instance_numbers(detection: Detection, model: Model, *, from_depth: bool) -> NDArray[np.void]:
    """Numbers of a Keypoints3D message, of the type `INSTANCE`, without those of its keypoints."""
    source = Keypoints3D.SCALE_UNKNOWN
    if detection.metric:
        source = Keypoints3D.SCALE_DEPTH if from_depth else Keypoints3D.SCALE_OBJECT_SIZE
    unit_m = detection.unit_m if detection.metric else math.nan
    score = np.mean(detection.score)
    orientation_score = detection.orientation_score if has_front(model.symmetry) else math.nan
    values = (score, orientation_score, detection.metric, source, unit_m)
    return np.array(values, INSTANCE)


def keypoint_numbers(detection: Detection, camera: CameraModel) -> NDArray[np.void]:
    """Numbers of its Keypoint3D messages, of the type `KEYPOINT`, shape (N,)."""
    uv = detection.keypoints_uv
    inside = np.all((uv > -0.5) & (uv < (camera.width - 0.5, camera.height - 0.5)), axis=1)
    numbers = np.empty(len(uv), KEYPOINT)
    numbers["position"] = detection.keypoints_camera
    numbers["covariance"] = detection.keypoint_covariance.reshape(-1, 9)
    numbers["score"] = detection.score
    numbers["uv"] = uv
    # Whether the object hides its own point is not known from one image without a shape.
    numbers["visibility"] = np.where(
        inside, Keypoint3D.VISIBILITY_UNKNOWN, Keypoint3D.VISIBILITY_OUTSIDE_IMAGE
    )
    return numbers


def detection_message(
    header: Header,
    detection: Detection,
    instance_id: str,
    class_id: str,
    T_camera_object: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> Detection3D:
    """One object for those who want a pose and a box: the box that holds its keypoints.

    Args:
        header: stamp of the image, frame of the camera.
        detection: in metres.
        instance_id: name of the object.
        class_id: of the object.
        T_camera_object: its pose, which may be smoother than the detection's; the box has it, too.
        covariance: of that pose, shape (6, 6).
    """
    pose = pose_with_covariance(T_camera_object, covariance)
    low, high = keypoint_box(detection)
    x, y, z = (T_camera_object @ [*((low + high) / 2), 1.0])[:3].tolist()
    width, depth, height = (high - low).tolist()
    box = BoundingBox3D(
        center=Pose(position=Point(x=x, y=y, z=z), orientation=pose.pose.orientation),
        size=Vector3(x=width, y=depth, z=height),
    )
    hypothesis = ObjectHypothesis(class_id=class_id, score=float(np.mean(detection.score)))
    return Detection3D(
        header=header,
        results=[ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)],
        bbox=box,
        id=instance_id,
    )


def keypoint_box(detection: Detection) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the box that holds the keypoints, (3,) each, in the object's frame."""
    T_object_camera = invert_transform(detection.T_camera_object)
    points = transform_points(T_object_camera, detection.keypoints_camera)
    return points.min(axis=0), points.max(axis=0)


def _keypoints(numbers: NDArray[np.void], model: Model) -> list[Keypoint3D]:
    rows = zip(
        model.keypoints.names,
        _rows(numbers["position"]),
        np.ascontiguousarray(numbers["covariance"]),
        numbers["score"].tolist(),
        numbers["uv"].tolist(),
        numbers["visibility"].tolist(),
        strict=True,
    )
    return [
        Keypoint3D(
            id=index,
            name=name,
            position=Point(x=x, y=y, z=z),
            covariance=covariance,
            score=score,
            u=u,
            v=v,
            visibility=visibility,
        )
        for index, (name, (x, y, z), covariance, score, (u, v), visibility) in enumerate(rows)
    ]


def object_markers(
    header: Header, detection: Detection, model: Model, namespace: str, lifetime_s: float
) -> list[Marker]:
    """Spheres in the keypoints' colours, the edges of the skeleton, and the object's name."""
    points = [Point(x=x, y=y, z=z) for x, y, z in _rows(detection.keypoints_camera)]
    colors = _colors(model.keypoints.colors)
    edges = np.asarray(model.keypoints.edges, np.int64).ravel().tolist()
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))

    def marker(marker_id: int, kind: int, size: float, indices: list[int]) -> Marker:
        message = Marker(header=header, ns=namespace, id=marker_id, type=kind, action=Marker.ADD)
        message.scale.x = message.scale.y = message.scale.z = size * float(detection.unit_m)
        message.pose.orientation.w = 1.0
        message.color.a = 1.0
        message.lifetime = lifetime
        message.points = [points[index] for index in indices]
        message.colors = [colors[index] for index in indices]
        return message

    spheres = marker(SPHERES, Marker.SPHERE_LIST, SPHERE_DIAMETER, list(range(len(points))))
    name = marker(NAME, Marker.TEXT_VIEW_FACING, TEXT_HEIGHT, [])
    name.text = namespace
    name.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    x, y, z = detection.T_camera_object[:3, 3].tolist()
    above = 1.2 * float(detection.unit_m)
    up = detection.T_camera_object[:3, 2].tolist()
    name.pose.position = Point(x=x + above * up[0], y=y + above * up[1], z=z + above * up[2])
    if not edges:
        return [spheres, name]
    return [spheres, marker(EDGES, Marker.LINE_LIST, EDGE_WIDTH, edges), name]


def ellipsoid_markers(
    header: Header, detection: Detection, model: Model, namespace: str, lifetime_s: float
) -> list[Marker]:
    """One standard deviation of the position of each keypoint."""
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    colors = _colors(model.keypoints.colors)
    variances, axes = np.linalg.eigh(detection.keypoint_covariance)
    # Eigenvectors may form a left-handed system: no rotation does.
    axes[:, :, 0] *= np.linalg.det(axes)[:, None]
    diameters = 2 * np.sqrt(np.maximum(variances, 0))
    markers = []
    for i, (x, y, z) in enumerate(_rows(detection.keypoints_camera)):
        marker = Marker(header=header, ns=namespace, id=i, type=Marker.SPHERE)
        marker.pose.position = Point(x=x, y=y, z=z)
        qx, qy, qz, qw = quat_xyzw(axes[i])
        marker.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        a, b, c = diameters[i].tolist()
        marker.scale = Vector3(x=a, y=b, z=c)
        marker.color = ColorRGBA(r=colors[i].r, g=colors[i].g, b=colors[i].b, a=0.3)
        marker.lifetime = lifetime
        markers.append(marker)
    return markers


def removed_markers(header: Header, model: Model, namespace: str) -> list[Marker]:
    """Takes away all that the functions above have put there for an object."""
    count = max(NAME + 1, model.keypoints.count)
    return [
        Marker(header=header, ns=namespace, id=marker_id, action=Marker.DELETE)
        for marker_id in range(count)
    ]


def no_markers(header: Header) -> Marker:
    """Takes away the markers of all objects."""
    return Marker(header=header, action=Marker.DELETEALL)


def _colors(colors: NDArray[np.float64]) -> list[ColorRGBA]:
    return [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in _rows(colors)]


def _rows(array: NDArray[np.floating]) -> list[list[float]]:
    """Rows as plain floats: message fields take neither numpy scalars nor single precision."""
    return np.asarray(array, np.float64).tolist()
