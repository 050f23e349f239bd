"""TensorRT at run time: memory allocated once, one stream, one recorded launch per batch size.

All of it is the same with TensorRT for RTX; `library` knows where they differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.engines.base import EngineOptions, check_images
from kp3d_core.inference.engines.nvidia import library
from kp3d_core.inference.engines.nvidia.cache import EngineCache
from kp3d_core.inference.engines.nvidia.device import ALIGNMENT, DeviceBlock, Stream, find_gpu
from kp3d_core.inference.engines.nvidia.library import tensorrt
from kp3d_core.inference.engines.nvidia.plans import batch_sizes, build_of, image_shape, key_of
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME, output_shapes


def check_machine(device: str) -> None:
    """`EngineUnavailable` unless there is a GPU that the library supports."""
    library.target_of(find_gpu())


class _Lane(NamedTuple):
    """What runs one batch size."""

    context: Any
    """Kept alive for what is launched, which points into its memory."""
    launch: Callable[[], None]
    """Queues a run: of the recorded graph, where the library can be recorded."""
    outputs: dict[str, NDArray[np.float32]]
    """Views of the host's side of the output block."""


class TensorRtEngine:
    """Runs the model on the GPU; builds the engine if the cache does not have it."""

    def __init__(self, model: Model, options: EngineOptions) -> None:
        """Load or build the engine, allocate, and record a launch for each batch size."""
        gpu = find_gpu()
        key = key_of(model, options, library.target_of(gpu))
        self.name = f"{library.NAME} {library.VERSION}"
        self.device = f"{gpu.name} (compute capability {gpu.compute_capability})"
        self.precision = key.precision
        self._model = model
        self._batches = batch_sizes(options)
        self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        cache = EngineCache(options.cache)
        build = build_of(model, options, key.target)
        self._engine = cache.get(key, self._load, build, builds_again=options.builds_again)
        self._contexts = library.Contexts(self._engine, cache.kernels(key, gpu.name))
        self._stream = Stream()
        largest = self._batches[-1]
        self._images = DeviceBlock(largest * math.prod(image_shape(model)))
        self._outputs = DeviceBlock(sum(_layout(model, largest).values()))
        self._lanes = {
            batch: self._prepare(profile, batch) for profile, batch in enumerate(self._batches)
        }
        if not self._contexts.knew_kernels and (kernels := self._contexts.kernels()):
            cache.keep_kernels(key, gpu.name, kernels)

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3).

        B is filled up to the next batch size of the engine, or cut into pieces of the largest.
        """
        check_images(images, self._model.input_size)
        largest = self._batches[-1]
        pieces = [self._run(images[i : i + largest]) for i in range(0, len(images), largest)]
        if len(pieces) == 1:
            return pieces[0]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        count = len(images)
        lane = self._lanes[min(batch for batch in self._batches if batch >= count)]
        np.copyto(self._images.host[: images.size].reshape(images.shape), images)
        lane.launch()
        self._stream.synchronize()
        return {name: values[:count].copy() for name, values in lane.outputs.items()}

    def _load(self, plan: bytes) -> Any:
        """Engine of its bytes; None unless it is one of this model and these batch sizes."""
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            return None
        names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
        expected = {INPUT_NAME, *output_shapes(self._model.keypoints.count)}
        fits = names == expected and engine.num_optimization_profiles == len(self._batches)
        return engine if fits else None

    def _prepare(self, profile: int, batch: int) -> _Lane:
        """Fix the shapes of a profile, run it once, and record the launch."""
        images_shape = (batch, *image_shape(self._model))
        stream = int(self._stream.handle)
        context = self._contexts.create()
        _require(context.set_optimization_profile_async(profile, stream), "select a profile")
        self._stream.synchronize()
        _require(context.set_input_shape(INPUT_NAME, images_shape), "take the images")
        _require(context.set_tensor_address(INPUT_NAME, self._images.address), "bind the images")
        shapes = output_shapes(self._model.keypoints.count)
        outputs, offset = {}, 0
        for name, length in _layout(self._model, batch).items():
            shape = (batch, *shapes[name])
            got = tuple(context.get_tensor_shape(name))
            _require(got == shape, f"give {name} the shape {shape}, it is {got}")
            _require(
                context.set_tensor_address(name, self._outputs.address + offset), f"bind {name}"
            )
            values = self._outputs.host[offset : offset + 4 * math.prod(shape)]
            outputs[name] = values.view(np.float32).reshape(shape)
            offset += length
        image_bytes, output_bytes = math.prod(images_shape), offset

        def work() -> None:
            self._images.upload(image_bytes, self._stream)
            _require(context.execute_async_v3(stream), "run")
            self._outputs.download(output_bytes, self._stream)

        self._images.host[:] = 0
        work()  # the first run sets up what must not happen while recording
        self._stream.synchronize()
        recorded = library.can_record(context, stream)
        return _Lane(context, self._stream.record(work).launch if recorded else work, outputs)


def _layout(model: Model, batch: int) -> dict[str, int]:
    """Bytes from the start of each output to the next, all in one block for one copy."""
    shapes = output_shapes(model.keypoints.count)
    return {
        name: math.ceil(4 * batch * math.prod(shape) / ALIGNMENT) * ALIGNMENT
        for name, shape in shapes.items()
    }


def _require(ok: bool, what: str) -> None:
    if not ok:
        raise RuntimeError(f"TensorRT could not {what}. Delete the engine cache and start again.")
