"""Taking images out of the middleware at the least cost, and counting those that never came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from kp3d_ros.gaps import Gaps, Origin
from kp3d_ros.native_images import NativeImage, NativeImages
from kp3d_ros.serialized import SerializedCompressedImage, SerializedImage

TakenImage = NativeImage | SerializedImage | SerializedCompressedImage


class ImageTaker:
    """Takes the images of one subscription, and tells how many never came."""

    def __init__(
        self,
        kind: type[Image] | type[CompressedImage],
        native: NativeImages | None,
        on_lost: Callable[[int], None],
    ) -> None:
        """Know no publisher yet.

        Args:
            kind: type of the topic.
            native: takes those of type Image; None: rclpy does.
            on_lost: is told how many images are missing, whenever some are.
        """
        self._kind = kind
        self._native = native if kind is Image else None
        self._on_lost = on_lost
        self._gaps = Gaps()

    def __call__(self, handle: Any) -> TakenImage | None:
        """The next image; None if there is none.

        Args:
            handle: of the subscription, held against its destruction.
        """
        taken = self._native.take(handle) if self._native else self._take_serialized(handle)
        if taken is None:
            return None
        image, origin = taken
        if missing := self._gaps.before(origin):
            self._on_lost(missing)
        return image

    def _take_serialized(self, handle: Any) -> tuple[TakenImage, Origin] | None:
        taken = handle.take_message(self._kind, True)
        if taken is None:
            return None
        view = SerializedImage if self._kind is Image else SerializedCompressedImage
        return view(taken[0]), Origin.of(taken[1])
