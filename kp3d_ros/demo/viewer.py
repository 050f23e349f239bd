"""The film and the node's answers in Rerun: what config/kp3d.rviz shows, with a time axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from kp3d_ros.demo import scene
from kp3d_ros.demo.film import Film
from kp3d_ros.demo.stream import CAMERA_FRAME, Recording
from kp3d_ros.messages import EDGE_WIDTH, SPHERE_DIAMETER, TEXT_HEIGHT
from kp3d_ros.msg import KeypointLayout, Keypoints3D
from kp3d_ros.rotations import quat_xyzw

FloatArray = NDArray[np.float64]

CAMERA = f"/{CAMERA_FRAME}"
IMAGE = f"{CAMERA}/image"
KEYPOINTS = f"{CAMERA}/keypoints"
POSE, POSE_COVARIANCE = f"{CAMERA}/pose", f"{CAMERA}/pose_covariance"
TF = f"{CAMERA}/tf"
TIMELINE = "image stamp"
_WHITE = (255, 255, 255)
_POSE_RGBA = (204, 51, 204, 77)
"""As in config/kp3d.rviz."""
_ELLIPSOID_ALPHA = 77
_JPEG_QUALITY = 90
_KEYPOINT_PX, _EDGE_PX = 4.0, 1.0
"""Radii in the image [px]."""


class Viewer:
    """Rerun's own viewer, or a file that it opens."""

    def __init__(self, path: Path | None = None) -> None:
        """Choose where the recording goes.

        Args:
            path: file to write; a window is opened if None.
        """
        self._path = path

    def show(self, film: Film, recording: Recording) -> str:
        """Write or open a recording; returns what to tell the user.

        Raises:
            RuntimeError: the viewer could not be started.
        """
        stream = rr.RecordingStream("kp3d_demo")
        blueprint = layout()
        if self._path is None:
            try:
                stream.spawn(default_blueprint=blueprint)
            except Exception as error:  # Rerun names no type
                raise RuntimeError(
                    f"Rerun's viewer could not be started ({error}). Without a screen write a file "
                    "with --rrd FILE and open it elsewhere: rerun FILE."
                ) from error
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            stream.save(self._path, default_blueprint=blueprint)
        log(stream, film, recording)
        stream.flush()
        stream.disconnect()
        return (
            f"Wrote {self._path}: rerun {self._path} shows it." if self._path else "Rerun is open."
        )


def layout() -> rrb.Blueprint:
    """The image with what was found on the left, the same in space on the right."""
    # From above the camera on the middle of the car's loop, the image's upper edge up.
    eye = rrb.EyeControls3D(
        kind=rrb.Eye3DKind.Orbital,
        position=(-0.6, -0.75, 1.1),
        look_target=(0.0, 0.1, 2.1),
        eye_up=(0.0, -1.0, 0.0),
    )
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Spatial2DView(origin=IMAGE, contents="$origin/**", name="Image with keypoints"),
            rrb.Spatial3DView(
                origin=CAMERA,
                name="Keypoints, covariance, poses and TF",
                background=[48, 48, 48],
                eye_controls=eye,
                line_grid=rrb.LineGrid3D(visible=False),
            ),
        ),
        collapse_panels=True,
    )


def log(stream: rr.RecordingStream, film: Film, recording: Recording) -> None:
    """Log every image that was sent and every answer, at the image's stamp."""
    K = scene.camera_intrinsics()
    pinhole = rr.Pinhole(
        image_from_camera=K,
        resolution=[scene.WIDTH, scene.HEIGHT],
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=0.4,
    )
    stream.log(CAMERA, rr.ViewCoordinates.RDF, static=True)
    stream.log(IMAGE, pinhole, static=True)
    shown: set[str] = set()
    for stamp, index in sorted(recording.sent.items()):
        stream.set_time(TIMELINE, timestamp=np.datetime64(stamp, "ns"))
        stream.log(IMAGE, rr.Image(film.image(index)).compress(_JPEG_QUALITY))
        answer, tf = recording.keypoints.get(stamp), recording.transforms.get(stamp)
        instances = answer.instances if answer is not None else []
        if recording.layout is not None:
            for instance in instances:
                _log_object(stream, instance, recording.layout)
        for message in tf.transforms if tf is not None else []:
            _log_transform(stream, message)
        if stamp in recording.poses:
            _log_pose(stream, recording.poses[stamp].pose)
        if stamp in recording.relative_poses:
            motion = recording.relative_poses[stamp]
            path = f"{TF}/{motion.header.frame_id}/relative_pose"
            _log_axes(stream, path, motion.pose.pose.position, motion.pose.pose.orientation, 0.2)
        found = {instance.instance_id for instance in instances}
        if shown - found:
            _clear(stream, shown - found)
        shown = found


def _clear(stream: rr.RecordingStream, lost: set[str]) -> None:
    """Take away what belongs to objects that are not found any more: nothing stale stays."""
    paths = [f"{parent}/{name}" for name in lost for parent in (IMAGE, KEYPOINTS)]
    for path in (*paths, POSE, POSE_COVARIANCE, TF):
        stream.log(path, rr.Clear(recursive=True))


def _log_object(stream: rr.RecordingStream, instance: Keypoints3D, known: KeypointLayout) -> None:
    """Keypoints and skeleton in the image and in space, ellipsoids and name."""
    points = np.array([_xyz(keypoint.position) for keypoint in instance.keypoints])
    uv = np.array([(keypoint.u, keypoint.v) for keypoint in instance.keypoints])
    colors = np.array([(c.r, c.g, c.b) for c in known.colors])
    edges = np.reshape(list(known.edges), (-1, 2))
    unit = instance.model_unit_m if instance.metric else 1.0
    labels = {"labels": list(known.names), "show_labels": False}
    in_image, in_space = (f"{parent}/{instance.instance_id}" for parent in (IMAGE, KEYPOINTS))
    stream.log(
        f"{in_image}/skeleton",
        rr.LineStrips2D(uv[edges], colors=[_WHITE], radii=_EDGE_PX, draw_order=10.0),
    )
    stream.log(
        f"{in_image}/keypoints",
        rr.Points2D(uv, colors=colors, radii=_KEYPOINT_PX, draw_order=20.0, **labels),
    )
    stream.log(
        f"{in_space}/skeleton",
        rr.LineStrips3D(points[edges], colors=[_WHITE], radii=EDGE_WIDTH / 2 * unit),
    )
    stream.log(
        f"{in_space}/keypoints",
        rr.Points3D(points, colors=colors, radii=SPHERE_DIAMETER / 2 * unit, **labels),
    )
    half_sizes, quaternions = _ellipsoids(
        np.array([keypoint.covariance for keypoint in instance.keypoints]).reshape(-1, 3, 3)
    )
    faint = np.column_stack([np.round(255 * colors), np.full(len(colors), _ELLIPSOID_ALPHA)])
    stream.log(
        f"{in_space}/covariance",
        rr.Ellipsoids3D(
            centers=points,
            half_sizes=half_sizes,
            quaternions=quaternions,
            colors=faint.astype(np.uint8),
            fill_mode=rr.components.FillMode.Solid,
        ),
    )


def _log_pose(stream: rr.RecordingStream, pose: Any) -> None:
    """The absolute pose, with one standard deviation of its position."""
    _log_axes(stream, POSE, pose.pose.position, pose.pose.orientation, 0.3)
    half_sizes, quaternions = _ellipsoids(np.reshape(pose.covariance, (1, 6, 6))[:, :3, :3])
    stream.log(
        POSE_COVARIANCE,
        rr.Ellipsoids3D(
            centers=[_xyz(pose.pose.position)],
            half_sizes=half_sizes,
            quaternions=quaternions,
            colors=[_POSE_RGBA],
            fill_mode=rr.components.FillMode.Solid,
        ),
    )


def _log_transform(stream: rr.RecordingStream, message: Any) -> None:
    """A transform of TF, with its frame's name."""
    parent = message.header.frame_id
    path = TF if parent == CAMERA_FRAME else f"{TF}/{parent}"
    transform = message.transform
    _log_axes(
        stream,
        f"{path}/{message.child_frame_id}",
        transform.translation,
        transform.rotation,
        0.15,
        name=message.child_frame_id,
    )


def _log_axes(
    stream: rr.RecordingStream, path: str, t: Any, q: Any, length_m: float, name: str = ""
) -> None:
    """A frame with its axes."""
    stream.log(
        path,
        rr.Transform3D(translation=_xyz(t), quaternion=[q.x, q.y, q.z, q.w]),
        rr.TransformAxes3D(length_m),
    )
    if name:
        stream.log(
            f"{path}/name",
            rr.Points3D([[0.0, 0.0, TEXT_HEIGHT]], radii=1e-4, labels=[name], colors=[_WHITE]),
        )


def _ellipsoids(covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half axes (N, 3) of one standard deviation and their orientation, x, y, z, w (N, 4)."""
    variances, axes = np.linalg.eigh(covariances)
    axes[:, :, 0] *= np.linalg.det(axes)[:, None]  # a rotation, no mirror image
    quaternions = np.array([quat_xyzw(R) for R in axes])
    return np.sqrt(np.maximum(variances, 0)), quaternions


def _xyz(point: Any) -> tuple[float, float, float]:
    return point.x, point.y, point.z
