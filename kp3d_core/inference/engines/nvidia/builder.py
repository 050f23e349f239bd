"""Compile a model's graph for this GPU, or for targets.

The network is strongly typed, the only kind that TensorRT 11 has: its precision is that of the
graph, fp16 or int8 (Q/DQ nodes) where the graph says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kp3d_core.inference.engines.nvidia import library
from kp3d_core.inference.engines.nvidia.library import tensorrt

WORKSPACE_BYTES = 1 << 30
"""Most scratch memory of a kernel; a Jetson shares it with everything else."""

Progress = Callable[[str, int, int], None]


class BuildLogger(tensorrt.ILogger):
    """Keeps warnings and errors, to say why a build failed."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        super().__init__()
        self.messages: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        """Called by TensorRT."""
        if severity in (self.Severity.ERROR, self.Severity.INTERNAL_ERROR):
            self.messages.append(msg)


class BuildProgress(tensorrt.IProgressMonitor):
    """Hands TensorRT's nested phases on as (phase, finished steps, all steps)."""

    def __init__(self, on_progress: Progress) -> None:
        """`on_progress` is called from TensorRT's threads."""
        super().__init__()
        self._on_progress = on_progress
        self._steps: dict[str, int] = {}
        self._finished: dict[str, int] = {}

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Called by TensorRT."""
        self._steps[phase_name], self._finished[phase_name] = num_steps, 0
        self._on_progress(phase_name, 0, num_steps)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Called by TensorRT, which may skip steps and repeat the last; True to go on."""
        finished = max(self._finished.get(phase_name, 0), step + 1)
        self._finished[phase_name] = finished
        self._on_progress(phase_name, finished, self._steps.get(phase_name, finished))
        return True

    def phase_finish(self, phase_name: str) -> None:
        """Called by TensorRT."""
        steps = self._steps.get(phase_name, 1)
        self._on_progress(phase_name, steps, steps)


def build_plan(
    graph: bytes,
    inputs: Mapping[str, tuple[int, ...]],
    batches: Sequence[int],
    timings: bytes = b"",
    on_progress: Progress | None = None,
    targets: Sequence[str] = (),
) -> tuple[bytes, bytes]:
    """Serialized engine with one optimization profile per batch size.

    Args:
        graph: ONNX file.
        inputs: shape of each of its inputs without the batch axis.
        batches: sizes, each the only one of its profile, so that every shape is fixed and the
            kernels are chosen for exactly that size.
        timings: of an earlier build with this TensorRT on this GPU; they make this one faster.
        on_progress: see `BuildProgress`.
        targets: see `library.all_targets`; must be empty with TensorRT, and given with TensorRT
            for RTX.

    Returns:
        The engine, and the timings with those of now.

    Raises:
        ValueError: TensorRT cannot parse or build the graph; with what it said.
    """
    logger = BuildLogger()
    builder = tensorrt.Builder(logger)
    network = parsed_network(builder, graph, logger)
    config = build_config(builder, inputs, batches, targets, logger)
    library.use_timings(config, timings)
    if on_progress is not None:
        config.progress_monitor = BuildProgress(on_progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failure("build", logger.messages)
    return bytes(plan), library.timings(config)


def build_config(
    builder: Any,
    inputs: Mapping[str, tuple[int, ...]],
    batches: Sequence[int],
    targets: Sequence[str],
    logger: BuildLogger,
) -> Any:
    """Settings of a build, with a profile per batch size."""
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # fp32 means fp32
    library.configure(config, targets)
    for batch in sorted(set(batches)):
        profile = builder.create_optimization_profile()
        for name, rest in inputs.items():
            shape = (batch, *rest)
            profile.set_shape(name, shape, shape, shape)
        if config.add_optimization_profile(profile) < 0:
            raise _failure(f"take batches of {batch} for", logger.messages)
    return config


def parsed_network(builder: Any, graph: bytes, logger: BuildLogger) -> Any:
    """Strongly typed network of an ONNX file; `ValueError` if TensorRT refuses it."""
    network = builder.create_network(
        1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise _failure("parse", errors or logger.messages)
    return network


def _failure(what: str, messages: Sequence[str]) -> ValueError:
    reason = "; ".join(dict.fromkeys(messages)) or "it gave no reason"
    return ValueError(
        f"{library.NAME} {library.VERSION} could not {what} the network: {reason}. Report this "
        "with the model file, or choose another engine or precision."
    )
