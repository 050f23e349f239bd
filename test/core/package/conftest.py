"""An exported graph for all that change one: the export itself takes a while."""

import pytest
import torch

from kp3d_core.models import create_model
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.package.to_onnx import export_graph


@pytest.fixture(scope="session")
def mirrored_graph():
    """Random network without batch normalisation, which looks at the mirror image, too."""
    torch.manual_seed(0)
    network = create_model("fast", 4, folded=True).eval()
    return DetectorGraph(network, 64, 30.0, mirror=True).eval()


@pytest.fixture(scope="session")
def unpacked(mirrored_graph):
    """Its ONNX file with weights as they are."""
    return export_graph(mirrored_graph).SerializeToString()
