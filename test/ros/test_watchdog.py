"""Why there is no result, with a clock of our own and stand-ins for what the node knows."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kp3d_core.inference import Detector, Model, load_model
from kp3d_ros.settings import Settings
from kp3d_ros.watchdog import PATIENCE_S, Arrivals, Reason, Situation, Watchdog

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA  # noqa: E402
from tiny_model import write_tiny_model  # noqa: E402


class Rig:
    """A watchdog, and the topics that it watches."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.watchdog = Watchdog(self.clock)
        self.arrivals = {name: Arrivals(self.clock) for name in ("image", "camera_info")}
        self.arrivals["detections"] = Arrivals(self.clock)
        self.published: set[str] = set()

    def clock(self) -> float:
        return self.now_s

    def images(self, seconds: float, found: int = 0, refused: Any = (), ignored: str = "") -> None:
        """Images at 10 Hz, with their calibrations."""
        for _ in range(round(10 * seconds)):
            self.now_s += 0.1
            self.arrivals["image"].note()
            self.arrivals["camera_info"].note()
            self.watchdog.note_answer(found, refused, ignored)

    def reasons(self, settings: dict[str, Any] | None = None, **facts: Any) -> list[Reason]:
        situation = Situation(
            settings=Settings(**(settings or {})),
            arrivals=self.arrivals,
            why=lambda name: f"(why no {name})",
            is_published=self.published.__contains__,
            **facts,
        )
        return list(self.watchdog.reasons(situation))

    def kinds(self, settings: dict[str, Any] | None = None, **facts: Any) -> list[str]:
        return [reason.kind for reason in self.reasons(settings, **facts)]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def test_reader_waits_less_than_five_seconds() -> None:
    # This, one period of the reports, and what discovery takes.
    assert PATIENCE_S + 1.0 < 4


def test_nothing_is_said_at_first(rig: Rig) -> None:
    rig.now_s += PATIENCE_S - 0.1

    assert rig.kinds(has_time=False, calibrated=False) == []


def test_no_image_ever(rig: Rig) -> None:
    rig.now_s += PATIENCE_S + 0.1

    (reason,) = rig.reasons()
    assert reason == Reason("no image", "No image so far. (why no image)")


def test_images_that_stop(rig: Rig) -> None:
    rig.images(5.0, found=1)
    assert rig.kinds() == ["everywhere"]

    rig.now_s += 12.0

    reason = rig.reasons()[0]
    assert (reason.kind, reason.is_fault) == ("no image", True)
    assert reason.text == "No image for 12 s. (why no image)"


def test_slow_camera_is_not_silent(rig: Rig) -> None:
    rig.arrivals["image"].note()
    rig.now_s += 10
    rig.arrivals["image"].note()
    rig.now_s += 25

    assert not rig.arrivals["image"].are_overdue
    rig.now_s += 6
    assert rig.arrivals["image"].are_overdue


def test_no_calibration(rig: Rig) -> None:
    for _ in range(40):
        rig.now_s += 0.1
        rig.arrivals["image"].note()

    (reason,) = rig.reasons(calibrated=False)
    assert reason.kind == "no calibration"
    assert reason.text.endswith("no keypoints without the calibration. (why no camera_info)")
    # One that came before the node paused counts.
    assert rig.reasons(calibrated=True) == []


def test_no_depth(rig: Rig) -> None:
    rig.arrivals["depth"] = Arrivals(rig.clock)
    rig.images(4.0, found=1)

    reason = rig.reasons({"use_depth": True})[0]
    assert reason.text == "No depth image so far, and 'use_depth' is set. (why no depth)"


def test_simulated_time_that_does_not_come(rig: Rig) -> None:
    rig.images(4.0, found=1)

    reason = rig.reasons(has_time=False)[0]
    assert reason.kind == "no time"
    assert "'use_sim_time' is set, but no time comes on /clock" in reason.text


def test_what_was_seen_and_what_to_set(rig: Rig, model: Model) -> None:
    looks = Detector(model).search(np.zeros((480, 640, 3), np.uint8), CAMERA)
    rig.images(4.0, refused=[(model, look) for look in looks])

    reason = rig.reasons()[0]

    (look,) = looks
    assert (reason.kind, reason.is_fault) == ("no object", False)  # there may be none
    assert reason.text.startswith("No object in the last 40 images. The most likely one of 'tiny'")
    assert f"score {look.score.mean():.2f} and misfit {look.misfit:.2f}" in reason.text
    assert " pixels long around (" in reason.text
    assert f"refused: {'; '.join(look.problems)}." in reason.text
    assert "raise 'max_wrong'" in reason.text
    assert "'region'" in reason.text
    # A region that is set is not advised.
    assert "'region'" not in rig.reasons({"region": (0.0, 0.0, 9.0, 9.0)})[0].text
    # What was seen before the last object is over.
    rig.images(0.1, found=1)
    assert "no object" not in rig.kinds()


def test_what_lies_behind_the_camera_has_no_place(rig: Rig, model: Model) -> None:
    (look,) = Detector(model).search(np.zeros((480, 640, 3), np.uint8), CAMERA)
    behind = dataclasses.replace(look, keypoints_camera=-look.keypoints_camera)
    rig.images(4.0, refused=[(model, behind)])

    assert f"misfit {behind.misfit:.2f}; refused: " in rig.reasons()[0].text


def test_boxes_that_are_required_and_missing(rig: Rig) -> None:
    required = {"detections_required": True}
    rig.images(4.0)

    (reason,) = rig.reasons(required)
    assert reason.text.endswith("and no detections came. (why no detections)")

    rig.arrivals["detections"].note()
    rig.images(1.0)
    (reason,) = rig.reasons(required)
    assert reason.text == (
        "No object in the last 50 images: 'detections_required' is set, and the 2D detector shows "
        "none that can be used."
    )

    rig.images(3.0)
    assert "no detections came for 4 s" in rig.reasons(required)[0].text


def test_boxes_that_are_ignored(rig: Rig) -> None:
    rig.arrivals["detections"].note()
    rig.images(2.0, found=1, ignored="Detections are late.")
    assert rig.kinds() == []

    rig.images(2.0, found=1, ignored="Detections are late.")
    assert rig.reasons() == [Reason("ignored detections", "Detections are late.", is_fault=False)]

    rig.images(0.1, found=1)  # a box that was used
    rig.images(1.0, found=1, ignored="Detections are late.")
    assert rig.kinds() == []


def test_whole_image_is_searched(rig: Rig) -> None:
    rig.images(4.0, found=1)

    (reason,) = rig.reasons()
    assert "Neither detections nor 'region' say where to look" in reason.text
    assert reason.is_advice
    assert rig.reasons({"region": (1.0, 1.0, 9.0, 9.0)}) == []
    assert rig.reasons({"detections_required": True}) == []
    # A detector whose messages do not get through is another matter.
    rig.published.add("detections")
    assert rig.kinds()[0] == "no detections"


def test_listeners_that_get_nothing(rig: Rig) -> None:
    rig.images(4.0, found=1)

    texts = [reason.text for reason in rig.reasons(deaf=["Somebody is deaf."])]

    assert texts[0] == "Somebody is deaf."


def test_poses_without_a_length(rig: Rig) -> None:
    rig.images(1.0, found=1)

    (reason,) = rig.reasons({"region": (1.0, 1.0, 9.0, 9.0)}, up_to_scale=True)
    assert reason.text.startswith("Nobody listens to anything but poses")
