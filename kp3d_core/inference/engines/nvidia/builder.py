"""Compile a model's graph for this GPU.

The network is strongly typed, the only kind that TensorRT 11 has: its precision is that of the
graph, fp16 or int8 (Q/DQ nodes) where the graph says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorrt

from kp3d_core.inference.outputs import INPUT_NAME

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
    timing_cache: bytes = b"",
    on_progress: Progress | None = None,
) -> tuple[bytes, bytes]:
    """Serialized engine with one optimization profile per batch size.

    Args:
        graph: ONNX file.
        inputs: shape of each of its inputs without the batch axis.
        batches: sizes, each the only one of its profile, so that every shape is fixed and the
            kernels are chosen for exactly that size.
        timing_cache: of an earlier build with this TensorRT on this GPU; makes this one faster.
        on_progress: see `BuildProgress`.

    Returns:
        The engine, and the timing cache with what was timed now.

    Raises:
        ValueError: TensorRT cannot parse or build the graph; with what it said.
    """
    logger = BuildLogger()
    builder = tensorrt.Builder(logger)
    network = builder.create_network(
        1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise _failure("parse", errors or logger.messages)
    convert_images_first(network)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # fp32 means fp32
    for batch in sorted(set(batches)):
        profile = builder.create_optimization_profile()
        for name, rest in inputs.items():
            shape = (batch, *rest)
            profile.set_shape(name, shape, shape, shape)
        if config.add_optimization_profile(profile) < 0:
            raise _failure(f"take batches of {batch} for", logger.messages)
    cache = config.create_timing_cache(timing_cache) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, ignore_mismatch=False)
    if on_progress is not None:
        config.progress_monitor = BuildProgress(on_progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failure("build", logger.messages)
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def convert_images_first(network: Any) -> None:
    """Put a cast to float32 before whatever reads the images.

    TensorRT takes uint8 as a network's input only, for a cast; exporters transpose first.
    """
    inputs = map(network.get_input, range(network.num_inputs))
    image = next(tensor for tensor in inputs if tensor.name == INPUT_NAME)
    readers = [
        (layer, index)
        for layer in map(network.get_layer, range(network.num_layers))
        if layer.type not in (tensorrt.LayerType.CAST, tensorrt.LayerType.SHAPE)
        for index in range(layer.num_inputs)
        if (tensor := layer.get_input(index)) is not None and tensor.name == image.name
    ]
    if not readers:
        return
    converted = network.add_cast(image, tensorrt.float32).get_output(0)
    for layer, index in readers:
        layer.set_input(index, converted)


def _failure(what: str, messages: Sequence[str]) -> ValueError:
    reason = "; ".join(dict.fromkeys(messages)) or "it gave no reason"
    return ValueError(
        f"TensorRT {tensorrt.__version__} could not {what} the network: {reason}. Report this with "
        "the model file, or choose another engine or precision."
    )
