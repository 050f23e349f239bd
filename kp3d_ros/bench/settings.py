"""What `kp3d bench node` is to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeBenchSettings:
    """What to measure, and how long."""

    model: str = "car"
    """Shipped model or model file that finds the film's car."""
    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threads: int = 2
    """CPU threads of the node's engine and of the baseline."""
    resolutions: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720), (1920, 1080))
    """Width and height of the images [px]."""
    rate_hz: float = 30.0
    """Of a camera: latency is measured at it, and the search for the highest rate starts there."""
    highest_rate_hz: float = 480.0
    """Where the search ends."""
    seconds: float = 10.0
    """Of the measurement of latency."""
    trial_s: float = 3.0
    """Of each trial of the search."""
    baseline_s: float = 2.0
    """Of the matrix product and of the baseline, each."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be positive, got {getattr(self, name):g}."
            for name in ("threads", "rate_hz", "seconds", "trial_s", "baseline_s")
            if not getattr(self, name) > 0
        ]
        if self.highest_rate_hz < self.rate_hz:
            problems.append(
                f"highest_rate_hz must be at least rate_hz = {self.rate_hz:g}, got "
                f"{self.highest_rate_hz:g}."
            )
        if not self.resolutions or min(min(size) for size in self.resolutions) < 1:
            problems.append(f"resolutions must be positive sizes, got {self.resolutions}.")
        if problems:
            raise ValueError("Benchmark settings are wrong: " + " ".join(problems))


def parse_resolutions(text: str) -> tuple[tuple[int, int], ...]:
    """Sizes of a text like `640x480,1920x1080`."""
    sizes = []
    for part in text.split(","):
        numbers = part.strip().split("x")
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise ValueError(
                f"resolutions must be WIDTHxHEIGHT with commas between, got '{text}'. For example "
                "640x480,1920x1080."
            )
        sizes.append((int(numbers[0]), int(numbers[1])))
    return tuple(sizes)
