"""A rendered set in memory: what it takes to read it, and what is in it."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from kp3d_core.data import memory
from kp3d_core.data.memory import load_views, resize_view
from kp3d_core.data.shards import ShardDataset, read_shard
from kp3d_core.training.datamodule import ShardDataModule


class Repeated(ShardDataset):
    """The same few objects many times over: a large set for the time of a small one."""

    times = 20

    def __len__(self):
        return self.times * super().__len__()

    def __iter__(self):
        for _ in range(self.times):
            yield from super().__iter__()


def test_views_are_those_of_the_folder(rendered_cars):
    views = load_views(rendered_cars / "val", 48)
    records = list(ShardDataset(rendered_cars / "val"))
    assert views.keys == tuple(record.key for record in records)
    assert views.kinds == tuple(record.kind for record in records)
    for i, record in enumerate(records):
        assert np.array_equal(views.T_camera_object[i], record.T_camera_object.astype(np.float32))
        for v in range(len(record.rgba)):
            rgba, K = resize_view(record.rgba[v], record.K[v], 48)
            assert np.array_equal(views.rgba[i, v], rgba)
            assert np.array_equal(views.K[i, v], K.astype(np.float32))


def test_reading_takes_the_memory_of_the_result(rendered_cars, monkeypatch):
    monkeypatch.setattr(memory, "ShardDataset", Repeated)
    tracemalloc.start()
    try:
        views = load_views(rendered_cars / "val", 64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(views.rgba) == 60
    # On top of the result: one object as it is decoded, with its mask and its files.
    assert peak < 1.25 * views.rgba.nbytes


def test_the_first_objects_alone(rendered_cars):
    whole, some = (
        load_views(rendered_cars / "train", 64),
        load_views(rendered_cars / "train", 64, 2),
    )
    assert some.keys == whole.keys[:2]
    assert np.array_equal(some.rgba, whole.rgba[:2])
    assert np.array_equal(some.landmarks, whole.landmarks[:2])
    assert (
        load_views(rendered_cars / "val", 64, 400).keys
        == load_views(rendered_cars / "val", 64).keys
    )


def test_objects_must_have_equal_numbers_of_views(rendered_cars, monkeypatch):
    class Damaged(ShardDataset):
        def __iter__(self):
            for record in super().__iter__():
                yield dataclasses.replace(record, rgba=record.rgba[:5])

    monkeypatch.setattr(memory, "ShardDataset", Damaged)
    with pytest.raises(ValueError, match="must have 6 views each, car-.* has 5. Render"):
        load_views(rendered_cars / "val", 64)


def test_a_set_larger_than_memory_gives_the_same_batches_from_disk(
    rendered_cars, tmp_path, monkeypatch
):
    folder = rendered_cars / "train"
    inside = load_views(folder, 32)
    data = ShardDataModule(str(folder), str(rendered_cars / "val"), 32, cache=str(tmp_path / "c"))
    data.setup("fit")
    assert isinstance(data.train_views.rgba, np.memmap)
    monkeypatch.setattr("kp3d_core.data.decoded.free_memory", lambda: 1000)
    with pytest.raises(ValueError, match=r"take 0.0 GB and 0.0 GB are free.*--data.cache=DIR"):
        load_views(folder, 32)

    def killed(self):
        yield next(read_shard(self.shard_paths[0]))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ShardDataset, "__iter__", killed)
        with pytest.raises(KeyboardInterrupt):
            load_views(folder, 32, cache=tmp_path / "cache")
    first = load_views(folder, 32, cache=tmp_path / "cache")
    monkeypatch.setattr(ShardDataset, "__iter__", None)  # nothing is decoded again
    mapped = load_views(folder, 32, cache=tmp_path / "cache")
    assert isinstance(mapped.rgba, np.memmap)
    for field in dataclasses.fields(inside):
        expected = getattr(inside, field.name)
        for views in (first, mapped):
            np.testing.assert_array_equal(getattr(views, field.name), expected)
    batches = [memory.RandomBatches(views, 3, 4, 2, seed=5) for views in (inside, mapped)]
    for k in range(3):
        assert batches[0][k]["rgba"].equal(batches[1][k]["rgba"])
        assert batches[0][k]["keys"] == batches[1][k]["keys"]
