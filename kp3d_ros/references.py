"""From a detection to the poses that are published: motion since the reference, smoothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import invert_transform
from kp3d_core.geometry.symmetry import nearest_pose
from kp3d_core.inference import Detection, Model, PoseFilter, RelativePose
from kp3d_core.inference.pose import steady_motion
from kp3d_ros.settings import Settings

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """Poses of one object; covariances are about the fixed axes of the first frame.

    A round object is never turned about its axis: its frame stands about it as in the reference.
    """

    T_camera_object: FloatArray
    """Absolute pose now."""
    covariance: FloatArray
    T_anchor_reference: FloatArray
    """Where the object was when the reference was taken: in the camera frame, or in the fixed
    frame if there is one."""
    T_reference_object: FloatArray
    """Motion since then."""
    motion_covariance: FloatArray


@dataclass(eq=False)
class _Reference:
    pose: RelativePose
    T_anchor_reference: FloatArray
    symmetry: str
    absolute: PoseFilter = field(init=False)
    relative: PoseFilter = field(init=False)

    def __post_init__(self) -> None:
        self.smooth_anew()

    def smooth_anew(self) -> None:
        """Forget what was smoothed; settings count from the first update on."""
        self.absolute, self.relative = (PoseFilter(1.0, 1.0, self.symmetry) for _ in range(2))


class References:
    """The reference of each object, by the name of its frame."""

    def __init__(self) -> None:
        """Start without references."""
        self._references: dict[str, _Reference] = {}
        self._wanted: set[str] = set()

    def want_all(self) -> None:
        """Make the next detection of each object its reference."""
        self._wanted = set(self._references)

    def forget(self, frame: str) -> None:
        """An object is gone for good."""
        self._references.pop(frame, None)
        self._wanted.discard(frame)

    def forget_all(self) -> None:
        """What was is not true any more."""
        self._references.clear()
        self._wanted.clear()

    def change_camera(self) -> None:
        """The camera is another one, in another place and with errors of its own."""
        for known in self._references.values():
            known.smooth_anew()

    def is_due(self, frame: str, detection: Detection) -> bool:
        """Whether a detection of an object becomes its reference."""
        known = self._references.get(frame)
        return (
            known is None
            or frame in self._wanted
            or known.pose.reference.metric != detection.metric
        )

    def place(
        self,
        frame: str,
        detection: Detection,
        model: Model,
        T_anchor_camera: FloatArray,
        time_s: float,
        settings: Settings,
    ) -> Placement:
        """Poses of an object now.

        Args:
            frame: its name.
            detection: its newest detection.
            model: that found it.
            T_anchor_camera: the camera in the frame that references are anchored in; identity if
                that is the camera itself.
            time_s: when the image was taken [s].
            settings: of the node.
        """
        if self.is_due(frame, detection):
            self._references[frame] = _Reference(
                RelativePose(detection, model.calibration, model.symmetry),
                T_anchor_camera @ detection.T_camera_object,
                model.symmetry,
            )
            self._wanted.discard(frame)
        known = self._references[frame]
        motion = known.pose.update(detection)
        # The fit takes the camera to stand still. Where it is known to have moved, the points of
        # now lie elsewhere in the reference frame, and so does their fit.
        T_reference_anchor = invert_transform(known.T_anchor_reference)
        moved = T_reference_anchor @ T_anchor_camera @ known.pose.T_camera_reference
        turn = np.zeros((6, 6))
        turn[:3, :3] = turn[3:, 3:] = moved[:3, :3]
        T_motion = steady_motion(moved @ motion.T_reference_object, model.symmetry)
        motion_covariance = turn @ motion.covariance @ turn.T
        R_camera_object = T_anchor_camera[:3, :3].T @ (known.T_anchor_reference @ T_motion)[:3, :3]
        T = nearest_pose(detection.T_camera_object, R_camera_object, model.symmetry)
        covariance = detection.pose_covariance
        if settings.filter:
            for smoother in (known.absolute, known.relative):
                smoother.acceleration = settings.filter_acceleration
                smoother.angular_acceleration = settings.filter_angular_acceleration
            T, covariance = known.absolute.update(time_s, T, covariance)
            T_motion, motion_covariance = known.relative.update(time_s, T_motion, motion_covariance)
        return Placement(T, covariance, known.T_anchor_reference, T_motion, motion_covariance)

    def time_constant_s(self) -> float:
        """Longest time constant of the filters [s]; 0 if none has run."""
        return max((r.absolute.time_constant_s for r in self._references.values()), default=0.0)
