"""The newest item wins."""

from __future__ import annotations

import time
from threading import Thread

from kp3d_ros.mailbox import Mailbox


def test_newest_item_wins_and_the_others_are_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()

    for item in range(5):
        mailbox.put(item)

    assert mailbox.take() == 4
    assert mailbox.dropped == 4


def test_slow_reader_never_falls_behind() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken = []

    def read() -> None:
        while (item := mailbox.take()) is not None:
            taken.append(item)
            time.sleep(0.02)

    reader = Thread(target=read)
    reader.start()
    for item in range(100):
        mailbox.put(item)
        time.sleep(0.001)
    while taken[-1:] != [99]:
        time.sleep(0.001)
    mailbox.close()
    reader.join()

    assert taken == sorted(taken)
    assert len(taken) + mailbox.dropped == 100
    assert len(taken) < 50


def test_close_wakes_a_waiting_reader() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    reader = Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()

    mailbox.close()
    reader.join(timeout=5)

    assert taken == [None]


def test_closed_mailbox_gives_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    mailbox.close()

    assert mailbox.take() is None
