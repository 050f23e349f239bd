"""Which waiting images are worked on."""

from __future__ import annotations

import pytest

from kp3d_ros.backlog import LONGEST, Backlog


class Simulation:
    """A camera, and a reader that takes the next image as soon as it is done with one."""

    def __init__(self, rate_hz: float, duration_s: float) -> None:
        self.backlog: Backlog[int] = Backlog()
        self.apart_s, self.duration_s = 1 / rate_hz, duration_s
        self.sent = 0
        self.taken: list[int] = []
        self.waits_s: list[float] = []
        self._free_s = 0.0

    def run(self, count: int, stall_s: float = 0.0) -> None:
        """Take `count` images; the reader stands still for a time at the beginning."""
        start_s = self.sent * self.apart_s
        self._work_until(start_s)
        self._free_s = max(self._free_s, start_s) + stall_s
        for _ in range(count):
            now_s = self.sent * self.apart_s
            self._work_until(now_s)
            self.backlog.put(self.sent, now_s)
            self.sent += 1

    def _work_until(self, now_s: float) -> None:
        while len(self.backlog) and self._free_s <= now_s:
            item = self.backlog.take()
            assert item is not None
            start_s = max(self._free_s, item * self.apart_s)
            self.taken.append(item)
            self.waits_s.append(start_s - item * self.apart_s)
            self.backlog.note_duration(self.duration_s)
            self._free_s = start_s + self.duration_s


def test_first_items() -> None:
    backlog: Backlog[int] = Backlog()
    for item in range(5):
        backlog.put(item, 0.01 * item)

    assert (backlog.take(), backlog.take()) == (4, None)  # nothing is known of the reader yet
    assert backlog.dropped == 4


@pytest.mark.parametrize(("rate_hz", "lost"), [(15.0, 0), (30.0, 0), (60.0, 3)])
def test_stall_of_70_ms_loses_no_more_images_than_it_lasts(rate_hz: float, lost: int) -> None:
    camera = Simulation(rate_hz, duration_s=0.006)
    camera.run(60)
    assert camera.backlog.dropped == 0

    camera.run(60, stall_s=0.07)

    assert camera.backlog.dropped <= lost <= 0.07 * rate_hz
    assert camera.taken == sorted(camera.taken)
    assert max(camera.waits_s[-40:]) < 0.001  # caught up


@pytest.mark.parametrize(("rate_hz", "duration_s"), [(30.0, 0.05), (60.0, 0.02), (120.0, 0.1)])
def test_slow_reader_gets_the_newest(rate_hz: float, duration_s: float) -> None:
    camera = Simulation(rate_hz, duration_s)

    camera.run(200)

    assert camera.backlog.dropped > 30
    assert len(camera.taken) + camera.backlog.dropped + len(camera.backlog) == 200
    # None waits longer than until the next one would have come.
    assert max(camera.waits_s[10:]) <= camera.apart_s + 1e-9


def test_nobody_waits_longer_for_the_others_than_images_are_apart() -> None:
    camera = Simulation(30.0, duration_s=0.015)
    camera.run(60)

    camera.run(30, stall_s=0.5)

    assert camera.backlog.allowed == 1 + int((1 / 30) / 0.015)
    assert 0.4 * 30 <= camera.backlog.dropped <= 0.5 * 30


def test_images_after_a_pause_are_a_new_stream() -> None:
    backlog: Backlog[int] = Backlog()
    for item in range(20):
        backlog.put(item, item / 30)
        backlog.take()
        backlog.note_duration(0.006)
    assert backlog.allowed == LONGEST

    backlog.put(20, 60.0)

    assert backlog.allowed == 1
