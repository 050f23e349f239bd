"""What diagnostics count."""

from __future__ import annotations

import math

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from kp3d_ros.diagnostics import Statistics, Throttle, kind_of, status_message


def test_figures_are_those_since_the_last_report() -> None:
    statistics = Statistics()
    for i in range(100):
        statistics.count_received()
        statistics.count_processed(
            duration_s=0.001 * (i + 1),
            engine_s=0.0005 * (i + 1),
            latency_s=0.002 * (i + 1),
            found=i % 2 == 0,
        )
    statistics.count_unused("too old")
    statistics.count_lost(3)
    statistics.count_lost(2)
    statistics.note_problem("the lens cap is on")

    problem, figures = statistics.report({"engine": "steam"}, dropped=7)

    assert problem == "the lens cap is on"
    assert figures["engine"] == "steam"
    assert figures["images received"] == figures["images processed"] == "100"
    assert figures["images with the object"] == "50"
    assert figures["images dropped for newer ones"] == "7"
    assert figures["images lost before they were received"] == "5"
    assert figures["images dropped, too old"] == "1"
    assert figures["processing time, p50 [ms]"] == "50.50"
    assert figures["engine time, p50 [ms]"] == "25.25"
    assert figures["latency, p99 [ms]"] == "198.02"

    problem, figures = statistics.report({}, dropped=7)
    assert problem == ""
    assert figures["images received"] == "100"
    assert figures["rate processed [Hz]"] == "0.0"
    assert "latency, p50 [ms]" not in figures


def test_status_has_all_values() -> None:
    values = {"model": "car 1", "rate processed [Hz]": "30.0"}

    message = status_message(Header(), DiagnosticStatus.WARN, "detector", "no images", values)

    (status,) = message.status
    assert (status.level, status.name, status.hardware_id) == (b"\x01", "detector", "car 1")
    assert {item.key: item.value for item in status.values} == values


def test_texts_that_differ_in_their_numbers_are_of_one_kind() -> None:
    assert kind_of("the image is 3.25 s old") == kind_of("the image is 12 s old")
    assert kind_of("frame 'odom' is old") != kind_of("frame 'map' is old")


def test_each_kind_of_message_waits_for_its_own() -> None:
    throttle = Throttle()

    assert [throttle.allows(kind) for kind in "aabab"] == [True, False, True, False, False]
    assert throttle.allows("c", math.inf)
    assert not throttle.allows("c", math.inf)
    assert throttle.allows("a", 0.0)
