"""Two processes train as one."""

import csv
import os
import subprocess
import sys

import pytest
import torch
from torch import distributed, nn

from kp3d_core.training.distributed import BatchNormSync, SharedBatchNorm2d, torchrun_defaults

METRICS = ("loss/total", "loss/pose", "loss/silhouette", "train/rotation_deg", "train/extent_y")


def rows(folder, column):
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    return [float(row[column]) for row in rows if row[column]]


def test_two_processes_have_the_losses_of_one(tiny_training, tiny_training_command, tmp_path):
    # With mirroring, backgrounds, occluders, reframing, noise and batch normalisation on.
    settings = ["--data.objects_per_batch=4", "--model.precision=fp32"]
    tiny_training(tmp_path / "one", *settings)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    endpoint = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    run = subprocess.run(
        [*torchrun, *endpoint, *tiny_training_command(tmp_path / "two", *settings)],
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    for name in METRICS:
        one, two = rows(tmp_path / "one", name), rows(tmp_path / "two", name)
        assert len(one) == len(two) == 4
        # Sums of another order: 6e-6 where it was measured. Adam divides the gradient by its own
        # size, so from the second step on rounding errors of small gradients weigh more: 1e-3.
        assert two[0] == pytest.approx(one[0], rel=3e-5)
        assert two == pytest.approx(one, rel=5e-3)
    for name in ("val/rotation_median_deg", "val/flag_accuracy", "val/extent_x"):
        assert rows(tmp_path / "two", name) == pytest.approx(rows(tmp_path / "one", name), rel=2e-2)
    state = torch.load(tmp_path / "two" / "checkpoints" / "last.ckpt", weights_only=False)
    expected = torch.load(tmp_path / "one" / "checkpoints" / "last.ckpt", weights_only=False)
    assert list(state["state_dict"]) == list(expected["state_dict"])


@pytest.fixture
def process_group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_shared_batch_norm_is_batch_norm():
    torch.manual_seed(0)
    images = 3 + 2 * torch.randn(6, 5, 4, 4, dtype=torch.float64)
    results = []
    for shared in (False, True):
        model = nn.Sequential(nn.BatchNorm2d(5)).double()
        nn.init.uniform_(model[0].weight)
        with torch.no_grad():
            model[0].weight.copy_(torch.arange(5.0) + 0.5)
            model[0].bias.copy_(torch.arange(5.0))
        if shared:
            BatchNormSync().apply(model)
            assert type(model[0]) is SharedBatchNorm2d
        x = images.clone().requires_grad_()
        for _ in range(3):
            out = model(x)
        out.sin().sum().backward()
        trained = [out, x.grad, model[0].weight.grad, model[0].bias.grad]
        out = model.eval()(images)
        BatchNormSync().revert(model)
        assert type(model[0]) is nn.BatchNorm2d
        results.append([*trained, out, *model.state_dict().values()])
    for plain, shared in zip(*results, strict=True):
        assert torch.allclose(plain.double(), shared.double(), rtol=1e-9, atol=1e-9)


def test_torchrun_says_how_many_processes_there_are():
    assert torchrun_defaults({}) == {}
    two_machines = {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}
    assert torchrun_defaults(two_machines) == {"devices": 4, "num_nodes": 2, "strategy": "ddp"}
