"""Random numbers of a batch: rows belong together however processes share them."""

import numpy as np
import pytest
import torch

from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.sharing import Share


def everything(draws):
    """One draw of each kind, with decisions and subsets between them."""
    per_view = draws.per_view(3)
    chosen, some = per_view.choose(0.5)
    (first, one), (second, other) = per_view.split(0.3)
    split = torch.zeros(len(per_view), 2).index_copy_(0, first, one.uniform(2))
    return {
        "split": split.index_copy_(0, second, other.normal(2)),
        "order": torch.tensor(per_view.common_order(5)),
        "uniform": draws.uniform(2, low=-1.0, high=3.0),
        "radius": torch.tensor(per_view.common_integer(1, 100)),
        "chosen": torch.zeros(len(per_view)).index_fill_(0, chosen, 1),
        "noise": torch.zeros(len(per_view), 4).index_copy_(0, chosen, some.normal(4)),
        "side": per_view.integers(4),
    }


def test_shares_of_a_batch_together_are_the_batch():
    whole = everything(BatchDraws(seed=5, total=8))
    parts = [everything(BatchDraws(5, 8, Share(rank, 4).of(8))) for rank in range(4)]
    for name, value in whole.items():
        values = [part[name] for part in parts]
        common = name in ("radius", "order")
        joined = values[0] if common else torch.cat(values)
        assert torch.equal(joined, value), name


def test_values_are_distributed_as_said():
    draws = BatchDraws(seed=0, total=20_000)
    uniform = draws.uniform(low=-1.0, high=3.0)
    assert uniform.shape == (20_000,)
    assert uniform.min() > -1.001
    assert uniform.max() < 3.001
    assert uniform.mean().item() == pytest.approx(1.0, abs=0.04)  # 5 sigma of 4 / sqrt(12 n)
    assert draws.normal(1).std().item() == pytest.approx(1.0, abs=0.03)
    assert set(draws.integers(3).tolist()) == {0, 1, 2}
    assert len(draws.choose(0.3)[0]) == pytest.approx(6000, abs=330)  # 5 sigma
    assert {draws.common_integer(1, 3) for _ in range(30)} == {1, 2}


def test_a_split_takes_every_row_once():
    draws = BatchDraws(seed=0, total=1000)
    (first, one), (second, other) = draws.split(0.3)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(1000))
    assert (len(one), len(other)) == (len(first), len(second))
    assert len(first) == pytest.approx(300, abs=70)
    assert sorted(draws.common_order(6)) == list(range(6))


def test_objects_are_shared_equally_or_not_at_all():
    rows = [np.arange(6)[Share(rank, 3).of(6)].tolist() for rank in range(3)]
    assert rows == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="multiple of their number 4, got 6.*objects_per_batch=8"):
        Share(0, 4).of(6)
