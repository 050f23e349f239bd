"""The simulated world: table, arm, mug and what else stands there, in PyBullet."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from kp3d_ros.demo.grasp import cameras, surfaces
from kp3d_ros.demo.grasp.bullet import ARM, FINGERS, GRASP_LINK, HAND_LINK, HOME, OPEN_M, Bullet
from kp3d_ros.demo.grasp.cameras import FloatArray, Picture
from kp3d_ros.demo.grasp.objects import write_urdf
from kp3d_ros.demo.grasp.scenes import Other, Scene
from kp3d_ros.demo.grasp.views import T_HAND_CAMERA

STEP_S = 1 / 240
"""Time between two steps of the physics [s]."""
ARM_FORCE_NM = np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])
FINGER_FORCE_N = 40.0
"""What the gripper closes with; a Panda's bears 70 N."""
FINGER_SPEED_M_S = 0.1
_SETTLING_S = 1.0
_TABLE_M = (1.3, 1.6)
_WALL_M = (3.2, 1.9)


class World:
    """Holds the truth, and obeys commands to the joints."""

    def __init__(self, scene: Scene, files: Path, backgrounds: Path | None = None) -> None:
        """Set the table.

        Args:
            scene: what stands where.
            files: folder for files that PyBullet reads; may be used by several worlds.
            backgrounds: folder of photographs for the wall; None for painted ones.
        """
        self.scene = scene
        self.time_s = 0.0
        self._bullet = Bullet()
        self.p = p = self._bullet.p
        self._rng = np.random.default_rng([scene.seed, 1])
        p.setTimeStep(STEP_S)
        p.setPhysicsEngineParameter(numSolverIterations=120, enableConeFriction=1)
        files.mkdir(parents=True, exist_ok=True)
        self._furnish(files, backgrounds)
        self.arm = self._bullet.load_arm()
        for joint in FINGERS:
            p.changeDynamics(self.arm, joint, lateralFriction=1.0, spinningFriction=0.02)
        # Both fingers of the real gripper move as one.
        left, right = FINGERS
        gear = p.createConstraint(
            self.arm, left, self.arm, right, p.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0]
        )
        p.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)
        position, R = scene.T_world_mug[:3, 3], scene.T_world_mug[:3, :3]
        yaw = float(np.arctan2(R[1, 0], R[0, 0]))
        urdf = write_urdf(scene.mug, files)
        self.mug = p.loadURDF(str(urdf))
        self._com = np.asarray(p.getDynamicsInfo(self.mug, -1)[3])
        com = position + R @ self._com
        p.resetBasePositionAndOrientation(
            self.mug, com.tolist(), p.getQuaternionFromEuler([0, 0, yaw])
        )
        self.others = [self._add(other) for other in scene.others]
        self.command(HOME)
        self.command_fingers(OPEN_M)
        while self.time_s < _SETTLING_S:
            self.step()

    def step(self) -> None:
        """Let the time between two steps pass."""
        self.p.stepSimulation()
        self.time_s += STEP_S

    def command(self, angles: FloatArray) -> None:
        """Where the arm's joints should be, shape (7,) [rad]."""
        self.p.setJointMotorControlArray(
            self.arm,
            ARM,
            self.p.POSITION_CONTROL,
            targetPositions=list(angles),
            forces=ARM_FORCE_NM.tolist(),
            positionGains=[0.25] * 7,
        )

    def command_fingers(self, way_m: float) -> None:
        """Where each finger should be: 0 is closed [m]."""
        for joint in FINGERS:
            self.p.setJointMotorControl2(
                self.arm,
                joint,
                self.p.POSITION_CONTROL,
                targetPosition=way_m,
                force=FINGER_FORCE_N,
                maxVelocity=FINGER_SPEED_M_S,
            )

    def joints(self) -> tuple[FloatArray, FloatArray]:
        """Positions [rad, m] and velocities of arm and fingers, shape (9,) each."""
        states = self.p.getJointStates(self.arm, [*ARM, *FINGERS])
        return np.array([s[0] for s in states]), np.array([s[1] for s in states])

    def hand(self) -> FloatArray:
        """`T_world_hand`, shape (4, 4)."""
        return self._bullet.link(self.arm, HAND_LINK)

    def grasp_point(self) -> FloatArray:
        """`T_world_tcp`: between the fingertips, shape (4, 4)."""
        return self._bullet.link(self.arm, GRASP_LINK)

    def mug_pose(self) -> FloatArray:
        """`T_world_mug`, the truth, shape (4, 4)."""
        T = self._bullet.transform(*self.p.getBasePositionAndOrientation(self.mug))
        T[:3, 3] -= T[:3, :3] @ self._com
        return T

    def camera_pose(self, in_hand: bool) -> FloatArray:
        """`T_world_camera` of the optical frame, shape (4, 4)."""
        return self.hand() @ T_HAND_CAMERA if in_hand else self.scene.T_world_camera

    def look(self, in_hand: bool) -> Picture:
        """What a camera sees now."""
        return cameras.take_picture(self.p, self.camera_pose(in_hand), self.scene.light, self._rng)

    def mug_box(self, picture: Picture) -> tuple[int, int, int, int] | None:
        """Visible extent of the mug: left, top, right, bottom [px]; None if it is not in sight."""
        rows, columns = np.nonzero(picture.body == self.mug)
        if len(rows) < 30:
            return None
        return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())

    def close(self) -> None:
        """Give its memory back."""
        self._bullet.close()

    def _furnish(self, files: Path, backgrounds: Path | None) -> None:
        p = self.p
        contact = p.createCollisionShape(
            p.GEOM_BOX,
            halfExtents=[_TABLE_M[0] / 2, _TABLE_M[1] / 2, 0.05],
            collisionFramePosition=[0, 0, -0.05],
        )
        top = surfaces.write_panel(files / "table.obj", *_TABLE_M)
        picture = surfaces.table_picture(self.scene.table)
        self._hang(top, picture, files / "table.png", [0.45, 0, 0], [0, 0, 0], contact)
        wall = surfaces.write_panel(files / "wall.obj", *_WALL_M)
        picture = surfaces.wall_picture(self.scene.wall, backgrounds)
        half = np.pi / 2
        places = ((half, [-0.9, 0, 0.3]), (0, [0.4, 1.3, 0.3]), (np.pi, [0.4, -1.3, 0.3]))
        for turn, place in places:
            # Upright, its face towards the table.
            self._hang(wall, picture, files / "wall.png", place, [half, 0, turn])
        self._hang(wall, picture, files / "wall.png", [2.2, 0, 0.3], [half, 0, -half])
        self._hang(wall, picture[:64], files / "floor.png", [0.4, 0, -0.75], [0, 0, 0])

    def _hang(
        self,
        panel: Path,
        picture: np.ndarray,
        file: Path,
        place: list[float],
        turn: list[float],
        contact: int = -1,
    ) -> None:
        p = self.p
        cv2.imwrite(str(file), picture[..., ::-1])
        shape = p.createVisualShape(p.GEOM_MESH, fileName=str(panel))
        body = p.createMultiBody(0, contact, shape, place, p.getQuaternionFromEuler(turn))
        p.changeVisualShape(
            body, -1, textureUniqueId=p.loadTexture(str(file)), rgbaColor=[1, 1, 1, 1],
            specularColor=[0, 0, 0],
        )  # fmt: skip

    def _add(self, other: Other) -> int:
        p = self.p
        half = list(other.half_m)
        if other.shape == "box":
            contact = p.createCollisionShape(p.GEOM_BOX, halfExtents=half)
            drawn = p.createVisualShape(p.GEOM_BOX, halfExtents=half, rgbaColor=[*other.rgb, 1])
        else:
            sizes = {"radius": half[0]}
            height = 2 * half[2]
            contact = p.createCollisionShape(p.GEOM_CYLINDER, height=height, **sizes)
            drawn = p.createVisualShape(
                p.GEOM_CYLINDER, length=height, rgbaColor=[*other.rgb, 1], **sizes
            )
        turn = p.getQuaternionFromEuler([0, 0, other.yaw])
        at = [other.x_m, other.y_m, half[2] + 0.001]
        body = p.createMultiBody(0.3, contact, drawn, at, turn)
        p.changeDynamics(body, -1, lateralFriction=0.7, rollingFriction=0.001)
        return int(body)
