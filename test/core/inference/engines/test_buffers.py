"""What is kept per batch size, and for how long."""

from __future__ import annotations

import numpy as np

from kp3d_core.inference.engines.buffers import HostBuffers, PerBatchSize
from kp3d_core.inference.outputs import output_shapes


def test_buffers_fit_the_graph(model):
    buffers = HostBuffers.allocate(model, 3)
    assert buffers.images.shape == (3, 128, 128, 3)
    for name, shape in output_shapes(6).items():
        assert buffers.outputs[name].shape == (3, *shape)
        assert buffers.outputs[name].dtype == np.float32


def test_copies_are_the_callers(model):
    buffers = HostBuffers.allocate(model, 1)
    buffers.outputs["scale"][:] = 1
    copy = buffers.copy_outputs()
    buffers.outputs["scale"][:] = 2
    assert copy["scale"] == 1


def test_prepared_once_until_eight_others_were_used_since():
    prepared = []
    sizes = PerBatchSize(lambda batch: prepared.append(batch) or -batch)
    for batch in (1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 1):
        assert sizes[batch] == -batch
    assert prepared == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert sizes[2] == -2  # went when 9 came; 1 had been used again
    assert prepared[-1] == 2
