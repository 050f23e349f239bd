"""Shine and transparency of the materials in mesh files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kp3d_core.rendering.mesh import Finish

_CLEAREST = 0.1
"""Less opaque than this is taken for a slip: files that say 0 where they mean 1 are common."""


def finish_of(material: Any) -> Finish:
    """Metallic, roughness and opacity for `Material`, of a material of trimesh.

    glTF gives them; textures of metal and roughness count with their mean. A material that says
    nothing of both comes out as paint, not as the rough metal that glTF's defaults make of it:
    kits that leave both out are of coloured plastic, not of metal. Of an OBJ material, roughness
    follows from the exponent of its highlight, and opacity from `d` or `Tr`.

    Reference: glTF 2.0, section 5.22; roughness of a Phong exponent as in Karis, Real Shading in
    Unreal Engine 4, SIGGRAPH 2013: exponent = 2 / roughness^4 - 2.
    """
    if hasattr(material, "roughnessFactor"):
        texture = getattr(material, "metallicRoughnessTexture", None)
        mean_roughness, mean_metallic = _means(texture)
        untold = texture is None and material.metallicFactor is None
        untold = untold and material.roughnessFactor is None
        metallic = 0.0 if untold else _number(material.metallicFactor, 1.0) * mean_metallic
        roughness = _number(material.roughnessFactor, 0.5 if untold else 1.0) * mean_roughness
        factor = material.baseColorFactor
        blended = getattr(material, "alphaMode", None) == "BLEND"
        opacity = float(factor[3]) / 255 if blended and factor is not None else 1.0
    else:
        told = {str(key).lower(): value for key, value in getattr(material, "kwargs", {}).items()}
        metallic = 0.0
        exponent = max(_number(told.get("ns"), 20.0), 0.0)
        roughness = (2 / (exponent + 2)) ** 0.25
        opacity = _number(told.get("d"), 1 - _number(told.get("tr"), 0.0))
    return {
        "metallic": min(max(metallic, 0.0), 1.0),
        "roughness": min(max(roughness, 0.02), 1.0),
        "opacity": min(opacity, 1.0) if opacity >= _CLEAREST else 1.0,
    }


def has_panes(material: Any) -> bool:
    """Whether the opacity of a material's texture is meant: glTF says so, other formats do not."""
    return getattr(material, "alphaMode", None) in ("BLEND", "MASK")


def _means(texture: Any) -> tuple[float, float]:
    """Mean roughness (green) and metallic (blue) of a texture, 1 where there is none."""
    if texture is None:
        return 1.0, 1.0
    try:
        small = np.asarray(texture.convert("RGB").resize((8, 8)), np.float64) / 255
    except (OSError, ValueError, SyntaxError):
        return 1.0, 1.0
    return float(small[..., 1].mean()), float(small[..., 2].mean())


def _number(value: Any, otherwise: float) -> float:
    """Of what a file says: a number, a list with one, or nonsense."""
    if isinstance(value, (list, tuple, np.ndarray)) and len(value):
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return otherwise
    return number if math.isfinite(number) else otherwise
