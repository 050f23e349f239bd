"""What callbacks hand over to the thread that looks at images: all of it at once, once an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from kp3d_ros.settings import Settings

if TYPE_CHECKING:
    from std_msgs.msg import Header
    from vision_msgs.msg import Detection2DArray


@dataclass(frozen=True)
class Handover:
    """What counts for one image, from its beginning to its end."""

    settings: Settings
    detections: Detection2DArray | None = None
    """The newest ones."""
    wants_references: bool = False
    """Every object gets a new reference."""
    was_set_back: bool = False
    """The clock was set back."""

    def only(self, keeps: Callable[[Header], bool]) -> Handover:
        """The same without the messages of other headers."""
        detections = self.detections
        if detections is not None and not keeps(detections.header):
            detections = None
        return replace(self, detections=detections)


class Inbox:
    """The one state that both threads change; whatever one of them takes out is immutable."""

    def __init__(self, settings: Settings) -> None:
        """Start with settings and nothing else."""
        self._lock = Lock()
        self._next = Handover(settings)

    @property
    def settings(self) -> Settings:
        """What counts from the next image on."""
        return self._next.settings

    def put_settings(self, settings: Settings) -> None:
        """Let changed settings count from the next image on."""
        self._put(settings=settings)

    def put_detections(self, message: Detection2DArray | None) -> None:
        """Take in what a 2D detector saw."""
        self._put(detections=message)

    def want_references(self) -> None:
        """Make the next detection of each object its reference."""
        self._put(wants_references=True)

    def set_back(self) -> None:
        """The clock was set back: what came before belongs to another time."""
        with self._lock:
            self._next = Handover(self._next.settings, was_set_back=True)

    def take(self) -> Handover:
        """What counts for an image whose turn has come."""
        with self._lock:
            taken = self._next
            self._next = replace(taken, wants_references=False, was_set_back=False)
        return taken

    def keep_only(self, keeps: Callable[[Header], bool]) -> None:
        """Forget the messages of other headers."""
        with self._lock:
            self._next = self._next.only(keeps)

    def clear(self) -> None:
        """Forget all messages; keep the settings."""
        with self._lock:
            self._next = Handover(self._next.settings)

    def _put(self, **values: Any) -> None:
        with self._lock:
            self._next = replace(self._next, **values)
