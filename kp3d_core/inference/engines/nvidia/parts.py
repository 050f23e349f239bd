"""Each of the two networks as an engine of its own, for pipelines that run engines themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kp3d_core.files import atomic_writer
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.nvidia import library
from kp3d_core.inference.engines.nvidia.builder import build_plan
from kp3d_core.inference.engines.nvidia.device import find_gpu
from kp3d_core.inference.engines.nvidia.plans import image_shape
from kp3d_core.inference.engines.nvidia.split import FLAG_NAME, split_graph
from kp3d_core.inference.engines.precision import in_precision, tensorrt_graph
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME


def build_parts(
    model: Model, options: EngineOptions, folder: Path, targets: Sequence[str] = ()
) -> list[Path]:
    """Write `<name>_orientation.engine` and `<name>_keypoints.engine`; they hold engines only.

    The first gives `split.ORIENTATION_OUTPUTS`, the second all others from the image and the flag.

    Args:
        model: from `load_model`.
        options: precision, batch sizes and progress.
        folder: to write to.
        targets: that each engine is for, see `library.all_targets`; this machine's GPU if empty.

    Raises:
        ValueError: the graph cannot be cut, or TensorRT cannot build a part.
    """
    library.check_targets(targets)
    targets = targets or library.targets_of_build(library.target_of(find_gpu()))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    model, precision = in_precision(model, options.precision, on_cpu=False)
    for part, graph in split_graph(tensorrt_graph(model, precision)).items():
        plan, _ = build_plan(
            graph, part_inputs(model)[part], options.batches, b"", options.on_progress, targets
        )
        path = folder / f"{model.name}_{part}.engine"
        with atomic_writer(path) as stream:
            stream.write(plan)
        paths.append(path)
    return paths


def part_inputs(model: Model) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of the inputs of each part, without the batch axis."""
    image: dict[str, tuple[int, ...]] = {INPUT_NAME: image_shape(model)}
    return {"orientation": image, "keypoints": image | {FLAG_NAME: ()}}
