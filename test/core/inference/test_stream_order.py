"""Stamps that go on, come late, repeat, or start again."""

from __future__ import annotations

import pytest

from kp3d_core.inference import ImageClock, Order, StreamOrder

NEXT, LATE, RESTART = Order.NEXT, Order.LATE, Order.RESTART


def orders(*stamps_s: float) -> list[Order]:
    order = StreamOrder()
    return [order.follow(round(stamp * 1e9)) for stamp in stamps_s]


@pytest.mark.parametrize(
    ("stamps_s", "expected"),
    [
        pytest.param((1.0, 1.033, 1.1, 9.0), [NEXT] * 4, id="onward"),
        pytest.param((1.0, 1.0, 1.0), [NEXT] * 3, id="repeated"),
        pytest.param((1.0, 1.066, 1.033, 1.1), [NEXT, NEXT, LATE, NEXT], id="two change places"),
        pytest.param((1.1, 1.0, 1.2), [NEXT, LATE, NEXT], id="the first two change places"),
        pytest.param(
            (1.0, 3.0, 5.0, 7.0, 11.0, 9.0, 13.0), [*[NEXT] * 5, LATE, NEXT], id="a slow camera's"
        ),
        pytest.param((10.0, 10.1, 5.0, 5.1), [NEXT, NEXT, RESTART, NEXT], id="set back"),
        pytest.param(
            (1.0, 1.1, 1.2, 1.3, 1.4, 1.0, 1.1, 1.2, 1.3, 1.4),
            [*[NEXT] * 5, LATE, LATE, LATE, RESTART, NEXT],
            id="set back by little",
        ),
        pytest.param((1.0, 2.0**31, 1.1, 1.2), [NEXT, NEXT, RESTART, NEXT], id="one from afar"),
        pytest.param(
            (1.0, 1.1, 1.2, 1.3, 900.0, 1.4, 1.5), [*[NEXT] * 5, RESTART, NEXT], id="one of many"
        ),
        pytest.param((5.0, 0.0, 0.0), [NEXT, RESTART, NEXT], id="stamps end"),
    ],
)
def test_order(stamps_s: tuple[float, ...], expected: list[Order]) -> None:
    assert orders(*stamps_s) == expected


def times(*stamps_s: float) -> list[float]:
    clock, read = ImageClock(), []
    for stamp_s in stamps_s:
        clock.follow(round(stamp_s * 1e9))
        read.append(clock.time_s)
    return read


def test_times_are_stamps() -> None:
    assert times(1.0, 1.5, 1.4, 2.0, 0.5) == pytest.approx([1.0, 1.5, 1.5, 2.0, 0.5])


def test_time_passes_where_stamps_repeat() -> None:
    step = 1 / 30

    assert times(0, 0, 0) == pytest.approx([0, step, 2 * step])
    # Whole seconds at 4 Hz: back at the stamp with the next one.
    assert times(7, 7, 7, 7, 8) == pytest.approx([7, 7 + step, 7 + 2 * step, 7 + 3 * step, 8])
    # Each twice at 60 Hz: never back in time.
    read = times(*[i // 2 / 60 for i in range(20)])
    assert all(b > a for a, b in zip(read, read[1:], strict=False))
