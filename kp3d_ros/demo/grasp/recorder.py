"""Keeps what is worth seeing of a trial: a film of the grasp, and what the node saw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.cameras import looking_at, take_picture
from kp3d_ros.demo.grasp.simulator import Simulator
from kp3d_ros.demo.grasp.world import World

_SIZE_WH = (360, 270)
_EVERY = 4
"""Steps of the simulator between two pictures: 7.5 a second."""
_FRAME_MS = 100
_EYE_M, _TARGET_M = np.array([1.25, -0.75, 0.68]), np.array([0.32, 0.0, 0.27])
_LAST_MS = 1200


class Recorder:
    """Watches the trials until one has succeeded."""

    def __init__(self, simulator: Simulator, folder: Path, *, overlays: bool) -> None:
        """Begin with the next world.

        Args:
            simulator: whose worlds are filmed.
            folder: for the pictures.
            overlays: keep what the nodes draw of their answers, too.
        """
        self._simulator, self._folder = simulator, folder
        self._frames: list[NDArray[np.uint8]] = []
        self._overlays: dict[str, NDArray[np.uint8]] = {}
        self._steps = 0
        self._listeners = [
            simulator.create_subscription(
                Image,
                f"{names.detector(camera)}/overlay",
                self._keeper(camera),
                qos_profile_sensor_data,
            )
            for camera in (names.OPTICAL_FRAMES if overlays else ())
        ]

    def begin(self, _world: World) -> None:
        """A new world: forget the last one."""
        self._frames, self._overlays, self._steps = [], {}, 0
        self._simulator.on_step = self._film

    def finish(self, success: bool) -> list[str]:
        """The trial is over; returns the names of the files written of it, if it is worth it."""
        self._simulator.on_step = None
        if not success or not self._frames:
            return []
        for listener in self._listeners:
            self._simulator.destroy_subscription(listener)
        written = ["grasp.gif"]
        _write_gif(self._frames, self._folder / written[0])
        if self._overlays:
            sheet = np.hstack([self._overlays[key] for key in sorted(self._overlays)])
            PillowImage.fromarray(sheet).save(self._folder / "overlay.png", optimize=True)
            written.append("overlay.png")
        return written

    def _film(self, world: World) -> None:
        self._steps += 1
        if self._steps % _EVERY == 0:
            view = looking_at(_EYE_M, _TARGET_M)
            self._frames.append(take_picture(world.p, view, world.scene.light, None, _SIZE_WH).rgb)

    def _keeper(self, camera: str) -> Callable[[Image], None]:
        def keep(message: Image) -> None:
            shape = message.height, message.width, 3
            self._overlays[camera] = np.frombuffer(message.data, np.uint8).reshape(shape)

        return keep


def _write_gif(frames: list[NDArray[np.uint8]], path: Path) -> None:
    images = [PillowImage.fromarray(frame) for frame in _moving(frames)]
    # One palette for all frames, so that what stands still costs nothing.
    sheet = np.vstack([np.asarray(image) for image in images[:: max(1, len(images) // 8)]])
    palette = PillowImage.fromarray(sheet).quantize(255)
    flat = [image.quantize(palette=palette, dither=PillowImage.Dither.NONE) for image in images]
    times = [_FRAME_MS] * (len(flat) - 1) + [_LAST_MS]
    flat[0].save(
        path, save_all=True, append_images=flat[1:], duration=times, loop=0, optimize=False
    )


def _moving(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Without the pictures in which nothing has changed: waiting is not worth seeing."""
    kept = frames[:1]
    for frame in frames[1:]:
        if (np.abs(frame.astype(np.int16) - kept[-1]).max(axis=2) > 24).mean() > 1e-3:
            kept.append(frame)
    return kept
