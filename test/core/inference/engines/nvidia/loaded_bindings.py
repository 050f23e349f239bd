"""The bindings of one version of TensorRT in place of TensorRT itself: import this first.

TensorRT for RTX, which is no double but the whole library, takes their place where no folder of
bindings is named.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

if folder := os.environ.get("KP3D_TEST_BINDINGS"):
    sys.path.insert(0, folder)
    import tensorrt_bindings as trt

    sys.modules["tensorrt"] = trt
else:
    import tensorrt_rtx_bindings as trt

FOR_RTX = not folder


class Overlay(ModuleType):
    """The real module with some names replaced."""

    def __init__(self, **replaced: Any) -> None:
        super().__init__("tensorrt")
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(trt, name)
