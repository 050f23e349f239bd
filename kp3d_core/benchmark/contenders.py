"""What `kp3d bench engine` can measure: each engine on each of its devices, and torch."""

from __future__ import annotations

import torch

from kp3d_core.benchmark.networks import random_graph
from kp3d_core.evaluation.torch_engine import TorchEngine
from kp3d_core.inference import Engine, Model, create_engine, engine_names
from kp3d_core.inference.engines import EngineOptions, engine_devices

TORCH = "torch"
"""The network in eager PyTorch, on the GPU if there is one; its weights are random."""


def all_contenders() -> tuple[str, ...]:
    """`NAME` of an engine on its usual device, `NAME:DEVICE` on another one, and `TORCH`."""
    found = []
    for name in engine_names():
        usual, *others = engine_devices(name)
        found += [name, *(f"{name}:{device}" for device in others)]
    return (*found, TORCH)


def create_contender(contender: str, model: Model, options: EngineOptions) -> Engine:
    """Engine of one of `all_contenders()`; `ValueError` if this machine cannot run it."""
    name, _, device = contender.partition(":")
    return create_engine(model, name, **vars(options) | {"device": device or "auto"})


def create_torch(network: str, input_size: int, mirror: bool, options: EngineOptions) -> Engine:
    """The graph that is exported, in torch and float32; threads are those of the process."""
    if options.precision != "fp32":
        raise ValueError(f"torch is measured in fp32 only, got {options.precision}.")
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32, as in engines
    return TorchEngine(random_graph(network, input_size, mirror))
