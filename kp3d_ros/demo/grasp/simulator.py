"""The world as a robot's drivers show it: images, joint states and TF out, trajectories in."""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp3d_ros.demo.grasp import cameras, names
from kp3d_ros.demo.grasp.bullet import ARM_JOINTS, BASE_FRAME, FINGER_JOINTS, HAND_FRAME, FloatArray
from kp3d_ros.demo.grasp.cameras import Picture
from kp3d_ros.demo.grasp.truth import Truth
from kp3d_ros.demo.grasp.views import T_HAND_CAMERA
from kp3d_ros.demo.grasp.world import STEP_S, World
from kp3d_ros.messages import transform_message

_STEPS = 8
"""Steps of the physics between two messages of the joints: 30 a second."""
_CAMERA_PERIOD_S = 0.2
BOX_NOISE_PX = 3.0
"""Standard deviation of the edges of the 2D detector's boxes [px]."""


class Simulator(Node):  # type: ignore[misc]
    """Publishes what the drivers of arm and cameras publish, and obeys the planner.

    Time is the simulation's, on /clock: real time while the arm rests, and as fast as the machine
    can while it moves. Images are rendered while somebody listens to them.
    """

    def __init__(self, *, truth: bool, with_depth: bool) -> None:
        """Open the topics.

        Args:
            truth: publish the mug's true pose in the place of the node's answer.
            with_depth: publish depth images.
        """
        super().__init__("simulator", namespace=names.NAMESPACE)
        self.world: World | None = None
        self.on_step: Callable[[World], None] | None = None
        """Called 30 times a second of the simulation."""
        self.image_times_s: dict[int, float] = {}
        """When an image was published, by `time.time()`, keyed by its stamp [ns]."""
        self._truth = Truth(self) if truth else None
        self._with_depth = with_depth
        self._time_s = 1.0  # a clock that shows 0 counts as not set
        self._wall_s = time.monotonic()
        self._next_image_s = 0.0
        self._arm_path: Path | None = None
        self._rng = np.random.default_rng(0)
        create = self.create_publisher
        self._clock = create(Clock, "/clock", 10)
        self._joints = create(JointState, names.JOINT_STATES, 10)
        self._tf = create(TFMessage, "/tf", QoSProfile(depth=100))
        self._static = create(TFMessage, "/tf_static", names.LATCHED)
        self._eyes = {
            camera: {
                "image": create(Image, f"{camera}/image", names.IMAGES),
                "depth": create(Image, f"{camera}/depth", names.IMAGES),
                "info": create(CameraInfo, f"{camera}/camera_info", names.IMAGES),
                "boxes": create(Detection2DArray, f"{camera}/detections", 10),
            }
            for camera in names.OPTICAL_FRAMES
        }
        listen = self.create_subscription
        listen(JointTrajectory, names.ARM_TRAJECTORY, self._on_arm, 10)
        listen(JointTrajectory, names.GRIPPER_TRAJECTORY, self._on_gripper, 10)

    def enter(self, world: World) -> None:
        """Show another world from now on; time goes on."""
        self.world = world
        self._arm_path = None
        self._rng = np.random.default_rng([world.scene.seed, 2])
        self._next_image_s = self._time_s + _CAMERA_PERIOD_S
        header = Header(stamp=self._stamp(), frame_id=BASE_FRAME)
        hand = Header(stamp=self._stamp(), frame_id=HAND_FRAME)
        frames = names.OPTICAL_FRAMES
        camera = transform_message(header, frames[names.CAMERA], world.camera_pose(False))
        in_hand = transform_message(hand, frames[names.HAND_CAMERA], T_HAND_CAMERA)
        self._static.publish(TFMessage(transforms=[camera, in_hand]))
        self._publish_state()

    def advance(self) -> None:
        """Let a thirtieth of a second pass."""
        assert self.world is not None
        for _ in range(_STEPS):
            if self._arm_path is not None:
                self.world.command(self._arm_path.at(self._time_s))
                if self._time_s >= self._arm_path.end_s:
                    self._arm_path = None
            self.world.step()
            self._time_s += STEP_S
        self._publish_state()
        if self.on_step:
            self.on_step(self.world)
        if self._time_s >= self._next_image_s:
            self._next_image_s = self._time_s + _CAMERA_PERIOD_S
            self._publish_images()
        self._keep_pace()

    def _keep_pace(self) -> None:
        """Real time at rest: those who look need it."""
        self._wall_s = max(self._wall_s, time.monotonic() - 0.1)
        if self._arm_path is None:
            self._wall_s += _STEPS * STEP_S
            time.sleep(max(0.0, self._wall_s - time.monotonic()))

    def _publish_state(self) -> None:
        assert self.world is not None
        stamp = self._stamp()
        self._clock.publish(Clock(clock=stamp))
        header = Header(stamp=stamp, frame_id=BASE_FRAME)
        self._tf.publish(
            TFMessage(transforms=[transform_message(header, HAND_FRAME, self.world.hand())])
        )
        positions, velocities = self.world.joints()
        self._joints.publish(
            JointState(
                header=header,
                name=[*ARM_JOINTS, *FINGER_JOINTS],
                position=positions.tolist(),
                velocity=velocities.tolist(),
            )
        )

    def _publish_images(self) -> None:
        assert self.world is not None
        for camera, eye in self._eyes.items():
            header = Header(stamp=self._stamp(), frame_id=names.OPTICAL_FRAMES[camera])
            if self._truth:
                self._truth.publish(camera, header, self.world)
            elif eye["image"].get_subscription_count():
                picture = self.world.look(camera == names.HAND_CAMERA)
                self._publish_picture(eye, header, picture)

    def _publish_picture(self, eye: dict, header: Header, picture: Picture) -> None:
        assert self.world is not None
        box = self.world.mug_box(picture)
        eye["boxes"].publish(_boxes(header, box, self._rng))
        height, width = picture.depth_m.shape
        K = cameras.intrinsics(width, height)
        info = CameraInfo(header=header, width=width, height=height, k=K.ravel())
        info.p, info.r = np.hstack([K, np.zeros((3, 1))]).ravel(), np.eye(3).ravel()
        info.distortion_model, info.d = "plumb_bob", [0.0] * 5
        eye["info"].publish(info)
        size = {"header": header, "width": width, "height": height}
        if self._with_depth:
            data = array.array("B", picture.depth_m.tobytes())
            eye["depth"].publish(Image(encoding="32FC1", step=4 * width, data=data, **size))
        data = array.array("B", picture.rgb.tobytes())
        self.image_times_s[_nanoseconds(header.stamp)] = time.time()
        eye["image"].publish(Image(encoding="rgb8", step=3 * width, data=data, **size))

    def _on_arm(self, message: JointTrajectory) -> None:
        assert self.world is not None
        self._arm_path = Path(message, self.world.joints()[0][:7], self._time_s)

    def _on_gripper(self, message: JointTrajectory) -> None:
        assert self.world is not None
        self.world.command_fingers(float(message.points[-1].positions[0]))

    def _stamp(self) -> Time:
        nanoseconds = round(self._time_s * 1e9)
        return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


class Path:
    """A trajectory of the arm in time: joints turn evenly from one point to the next."""

    def __init__(self, message: JointTrajectory, start: FloatArray, now_s: float) -> None:
        """Begin now, from where the arm is."""
        order = [message.joint_names.index(name) for name in ARM_JOINTS]
        times = [p.time_from_start.sec + 1e-9 * p.time_from_start.nanosec for p in message.points]
        self._times_s = now_s + np.array([0.0, *times])
        self._points = np.array([start, *(np.array(p.positions)[order] for p in message.points)])
        self.end_s = float(self._times_s[-1])

    def at(self, time_s: float) -> FloatArray:
        """Joint angles at a time, shape (7,) [rad]."""
        return np.array([np.interp(time_s, self._times_s, column) for column in self._points.T])


@contextmanager
def spinning(simulator: Simulator) -> Iterator[Callable[[], None]]:
    """Gives a function that lets the simulation and its callbacks advance by one step."""
    executor = SingleThreadedExecutor()
    executor.add_node(simulator)

    def step() -> None:
        for _ in range(3):
            executor.spin_once(timeout_sec=0)
        if simulator.world is not None:
            simulator.advance()

    try:
        yield step
    finally:
        executor.shutdown()


def _boxes(
    header: Header, box: tuple[int, int, int, int] | None, rng: np.random.Generator
) -> Detection2DArray:
    """What a 2D detector would say of an image: the visible part of the mug."""
    message = Detection2DArray(header=header)
    if box is None:
        return message
    edges = np.array(box) + [-0.5, -0.5, 0.5, 0.5] + rng.normal(0, BOX_NOISE_PX, 4)
    left, top, right, bottom = (float(value) for value in edges)
    detection = Detection2D(header=header)
    detection.bbox.center.position.x = (left + right) / 2
    detection.bbox.center.position.y = (top + bottom) / 2
    detection.bbox.size_x, detection.bbox.size_y = max(right - left, 4), max(bottom - top, 4)
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = names.CLASS, 0.9
    detection.results = [result]
    message.detections = [detection]
    return message


def _nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
