"""How time grows with objects, which share one call of the engine asked for."""

import pytest

from kp3d_core.benchmark.growth import object_rows
from kp3d_core.inference import create_engine, load_model, shipped_models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def make_engine(model):
    return create_engine(model, "onnxruntime", threads=1)


@pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")
def test_objects_share_one_engine_call():
    model = load_model("car")
    engine = make_engine(model)
    calls = []

    class Counting:
        name, device, precision = engine.name, engine.device, engine.precision

        def run(self, images):
            calls.append(len(images))
            return engine.run(images)

    rows = list(object_rows(model, Counting(), 0.01, counts=(1, 3)))
    assert [row["objects"] for row in rows] == [1, 3]
    assert set(calls) == {1, 3}
    assert rows[1]["runs"] < calls.count(3) <= rows[1]["runs"] + 3  # warm-up
