"""The training step on a device that is not the CPU."""

import os
import subprocess
import sys
from contextlib import nullcontext

import lightning as L
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kp3d_core.data.augmentation import Augmentation
from kp3d_core.data.reframing import Reframing
from kp3d_core.losses.objective import LossWeights
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.module import KeypointModule

META = torch.device("meta")
SENDING = {"aten::_to_copy", "aten::copy_", "aten::lift_fresh", "aten::detach"}


class NothingOnTheCpu(TorchDispatchMode):
    """Collects operations on CPU tensors, other than numbers and sending them to the device."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        values = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        on_cpu = [x for x in values if x.device.type == "cpu" and x.ndim > 0]
        if on_cpu and operation.name().split(".")[0] not in SENDING:
            self.found.append(f"{operation.name()} {[tuple(x.shape) for x in on_cpu]}")
        return result


@pytest.fixture
def batch_and_module(rendered_cars):
    """A training step of everything there is, without a Trainer's loop around it."""
    data = ShardDataModule(
        str(rendered_cars / "train"), str(rendered_cars / "val"), 32, source_size=64
    )
    module = KeypointModule(
        num_keypoints=12,
        weights=LossWeights(anchor=1.0, flag=1.0, landmark=1.0),
        augmentation=Augmentation(0.5, 0.6, 0.2, 0.4),
        reframing=Reframing(probability=0.5),
        precision="fp32",
    )
    trainer = L.Trainer(accelerator="cpu", max_steps=10, logger=False, enable_checkpointing=False)
    trainer.datamodule = data
    data.trainer = module.trainer = trainer
    data.setup("fit")
    module.on_fit_start()
    module.log_dict = lambda *args, **kwargs: None
    return next(iter(data.train_dataloader())), module


def test_the_step_computes_nothing_on_the_cpu(batch_and_module, monkeypatch):
    # PyTorch's "meta" device stands for a GPU: it has shapes and a device, but no numbers, and
    # mixes with CPU tensors no better than a GPU does. It has no autocast and no generators.
    batch, module = batch_and_module
    generator = torch.Generator
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(torch, "Generator", lambda device: generator())
    monkeypatch.setattr(KeypointModule, "require_finite", lambda *args: None)
    module.to(META)
    batch = {name: x.to(META) if torch.is_tensor(x) else x for name, x in batch.items()}
    with NothingOnTheCpu() as judge:
        loss = module.training_step(batch, 0)
        loss.backward()
        module.validation_step(batch, 0)
    assert loss.device == META
    assert judge.found == []
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(gradient is not None and gradient.device == META for gradient in gradients)


@pytest.mark.slow
def test_a_compiled_network_trains_alike(tiny_training_command, trained_run, tmp_path):
    # The backend "eager" runs the captured graph as it is: the capture is tested, not a compiler.
    # In a process of its own: the capture does not understand this one's checks of types.
    command = tiny_training_command(tmp_path, "--model.compile_backend=eager")
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    run = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    expected = torch.load(trained_run / "checkpoints" / "last.ckpt", weights_only=False)
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)
    for name, value in expected["state_dict"].items():
        assert torch.allclose(content["state_dict"][name], value, rtol=1e-3, atol=1e-4), name
