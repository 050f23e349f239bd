"""Several processes that train one model as if they were one.

Each takes its share of every batch (`kp3d_core.data.sharing`); gradients are averaged by DDP. All
losses are means over images, objects or pairs, so the mean over equal shares is the loss of the
whole batch, provided that batch normalisation also sees the whole batch: that is `BatchNormSync`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.plugins.layer_sync import LayerSync, TorchSyncBatchNorm
from torch import Tensor, distributed, nn


def torchrun_defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of Lightning's Trainer that follow from the processes which `torchrun` started."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return {}
    local, world = int(environment["LOCAL_WORLD_SIZE"]), int(environment["WORLD_SIZE"])
    return {"devices": local, "num_nodes": world // local, "strategy": "ddp"}


class _MeanOverProcesses(torch.autograd.Function):
    """Mean of a tensor over all processes; the gradient is the mean of theirs, likewise."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _mean_over_processes(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _mean_over_processes(gradients[0])


def _mean_over_processes(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values / distributed.get_world_size()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes, on any device.

    For CPUs: PyTorch's `SyncBatchNorm` runs on GPUs only. All processes must hold equal numbers of
    images. One reduction per layer: means and mean squares, both about the running mean, which is
    the same everywhere and close to the mean, so that their difference keeps its digits (Chan,
    Golub and LeVeque, The American Statistician 37(3), 1983).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Like `BatchNorm2d` of the whole batch."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        wide = input if input.dtype == torch.float64 else input.float()
        shift = self.running_mean.clone()
        variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        offset = mean - shift
        moments = torch.stack([offset, variance + offset.square()])
        offset, square = _MeanOverProcesses.apply(moments)
        mean, variance = shift + offset, square - offset.square()
        with torch.no_grad():
            count = distributed.get_world_size() * input.numel() // input.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        bias = self.bias - mean * scale
        result = torch.addcmul(bias[:, None, None], wide, scale[:, None, None])
        return result.to(input.dtype)


class BatchNormSync(LayerSync):
    """Exchanges the batch normalisation of a network, and only of one that several processes train.

    On GPUs for PyTorch's own. Weights, statistics and their names stay, and so do checkpoints.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Called by the DDP strategy once the model is on its device."""
        if any(parameter.is_cuda for parameter in model.parameters()):
            return TorchSyncBatchNorm().apply(model)
        return _exchange(model, nn.BatchNorm2d, SharedBatchNorm2d)

    def revert(self, model: nn.Module) -> nn.Module:
        """Called by the DDP strategy after the last step."""
        if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
            return TorchSyncBatchNorm().revert(model)
        return _exchange(model, SharedBatchNorm2d, nn.BatchNorm2d)


def _exchange(model: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> nn.Module:
    """Turn modules of one class into another with the same members, in their place."""
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new
    return model
