"""Messages are taken in the thread that asks, and executors leave them alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread, get_ident
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header, String

from kp3d_ros.intake import Intake
from kp3d_ros.worker import Worker


@pytest.fixture
def node(make_node: Callable[[str], Node]) -> Node:
    return make_node("intake")


def sender(node: Node, topic: str, subscriptions: int = 1) -> Any:
    publisher = node.create_publisher(String, topic, 10)
    end = time.monotonic() + 10
    while publisher.get_subscription_count() < subscriptions and time.monotonic() < end:
        time.sleep(0.005)
    return publisher


def test_takes_in_the_order_of_the_subscriptions(node: Node) -> None:
    intake, got = Intake(node.context), []
    subscriptions = [
        node.create_subscription(
            String, name, lambda m, n=name: got.append((n, m.data)), 10, callback_group=intake.group
        )
        for name in ("a", "b")
    ]
    intake.watch(subscriptions)
    a, b = sender(node, "a"), sender(node, "b")
    b.publish(String(data="1"))
    a.publish(String(data="2"))
    a.publish(String(data="3"))

    assert intake.wait_for(lambda: len(got) == 3, 10)

    assert [item for item in got if item[0] == "a"] == [("a", "2"), ("a", "3")]
    assert intake.take(0.0)
    intake.close()


def test_gives_bytes_of_raw_subscriptions(node: Node) -> None:
    intake, got = Intake(node.context), []
    raw = node.create_subscription(
        String, "raw", got.append, 10, callback_group=intake.group, raw=True
    )
    intake.watch([raw])
    sender(node, "raw").publish(String(data="x"))

    assert intake.wait_for(lambda: got, 10)
    assert deserialize_message(got[0], String).data == "x"
    intake.close()


def test_executors_leave_the_subscriptions_alone(node: Node) -> None:
    intake, got, others = Intake(node.context), [], []
    watched = node.create_subscription(
        String, "mine", lambda m: got.append(get_ident()), 10, callback_group=intake.group
    )
    node.create_subscription(Header, "other", others.append, 10)
    intake.watch([watched])
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    mine, other = sender(node, "mine"), node.create_publisher(Header, "other", 10)
    end = time.monotonic() + 10
    while not others and time.monotonic() < end:
        mine.publish(String(data="x"))
        other.publish(Header())
        executor.spin_once(timeout_sec=0.05)
    assert others
    assert not got

    taker = Thread(target=lambda: intake.wait_for(lambda: got, 10))
    taker.start()
    taker.join()

    assert set(got) == {taker.ident}
    executor.shutdown()
    intake.close()


def test_wakes_up_when_asked_and_in_time(node: Node) -> None:
    intake = Intake(node.context)
    start = time.monotonic()
    assert intake.take(0.05)
    assert 0.04 < time.monotonic() - start < 5

    waiter = Thread(target=lambda: intake.take(None))
    waiter.start()
    intake.wake()
    waiter.join(10)
    assert not waiter.is_alive()
    intake.close()


def test_destroyed_subscription_is_left_out(node: Node) -> None:
    intake, got = Intake(node.context), []
    gone, stays = (
        node.create_subscription(
            String, name, lambda m: got.append(m.data), 10, callback_group=intake.group
        )
        for name in ("gone", "stays")
    )
    intake.watch([gone, stays])
    node.destroy_subscription(gone)
    sender(node, "stays").publish(String(data="x"))

    assert intake.wait_for(lambda: got, 10)
    intake.close()


def test_ends_with_its_context() -> None:
    context = rclpy.context.Context()
    rclpy.init(context=context)
    intake, results = Intake(context), []
    waiter = Thread(target=lambda: results.append(intake.take(None)))
    waiter.start()

    rclpy.shutdown(context=context)
    waiter.join(10)

    assert results == [False]
    assert intake.take(None) is False


def test_worker_works_goes_on_after_errors_and_stops(node: Node) -> None:
    worked, errors = [], []
    worker: Worker[str] = Worker(node.context, worked.append, errors.append)

    def on_message(message: String) -> None:
        if message.data == "bad":
            raise ValueError("bad message")
        worker.put(message.data)

    subscription = node.create_subscription(
        String, "work", on_message, 10, callback_group=worker.intake.group
    )
    worker.intake.watch([subscription])
    publisher, end = sender(node, "work"), time.monotonic() + 10
    for text in ("bad", "good"):
        publisher.publish(String(data=text))
    while not worked and time.monotonic() < end:
        time.sleep(0.005)
    worker.stop()

    assert worked == ["good"]
    assert [str(error) for error in errors] == ["bad message"]
    assert worker.dropped == 0
