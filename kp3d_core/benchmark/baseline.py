"""What every benchmark measures first: the machine, its peak, and the networks of the paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from kp3d_core.benchmark.machine import describe_machine, peak_gflops, torch_threads
from kp3d_core.benchmark.networks import PAPER_SIZE, random_graph
from kp3d_core.benchmark.timing import Latency, measure

FORMAT_VERSION = 2


def begin(
    kind: str,
    settings: Any,
    *,
    threads: int,
    seconds: float,
    on_progress: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """What all JSON files of `kp3d bench` start with; `settings` is a dataclass."""
    machine = describe_machine()  # first: it notes how busy the machine was before
    on_progress("the machine's peak")
    peak = peak_gflops(threads, seconds)
    on_progress("baseline: the paper's networks in eager PyTorch")
    return {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "settings": asdict(settings),
        "threads": threads,
        "machine": machine,
        "peak_gflops": peak,
        "baseline": measure_baseline(threads, seconds),
    }


def measure_baseline(threads: int, seconds: float) -> dict[str, Any]:
    """Both networks of the paper and the decoding, eager float32, one image."""
    graph = random_graph("paper", PAPER_SIZE, mirror=False)
    image = torch.zeros(1, PAPER_SIZE, PAPER_SIZE, 3, dtype=torch.uint8)
    with torch_threads(threads), torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            graph(image)
        latency = measure(lambda: graph(image), seconds)
    gflop = 1e-9 * counter.get_total_flops()
    return {
        "what": "both networks of the paper, eager PyTorch float32",
        "input_size": PAPER_SIZE,
        "batch": 1,
        **figures(latency, 1, gflop),
    }


def figures(latency: Latency, batch: int, gflop: float) -> dict[str, float]:
    """Latency, throughput and rate of arithmetic of a call with `batch` images of `gflop` each."""
    return asdict(latency) | {
        "images_per_s": 1e3 * batch / latency.p50_ms,
        "gflop_per_image": gflop,
        "gflops": 1e3 * gflop * batch / latency.p50_ms,
    }
