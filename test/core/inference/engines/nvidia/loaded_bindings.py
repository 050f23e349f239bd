"""The bindings of one version of TensorRT in place of TensorRT itself: import this first."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

sys.path.insert(0, os.environ["KP3D_TEST_BINDINGS"])
import tensorrt_bindings as trt

sys.modules["tensorrt"] = trt


class Overlay(ModuleType):
    """The real module with some names replaced."""

    def __init__(self, **replaced: Any) -> None:
        super().__init__("tensorrt")
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(trt, name)
