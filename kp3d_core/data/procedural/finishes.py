"""How shiny the surfaces of procedural objects are, by their names."""

from __future__ import annotations

from kp3d_core.rendering.mesh import Finish

_METALLIC_ROUGHNESS_OPACITY: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(
        ("paint", "left side", "right side", "front", "rear", "top", "roof box", "cowl", "spinner"),
        (0.0, 0.1, 1.0),
    ),
    **dict.fromkeys(("wing top", "wing underside"), (0.0, 0.2, 1.0)),
    **dict.fromkeys(("headlight", "taillight", "mirror glass", "sign"), (0.0, 0.06, 1.0)),
    "glass": (0.0, 0.04, 0.5),
    "chrome": (1.0, 0.08, 1.0),
    **dict.fromkeys(("metal", "leading edge", "nozzle", "blade"), (0.9, 0.3, 1.0)),
    "rim": (0.5, 0.3, 1.0),
    "plate": (0.0, 0.35, 1.0),
    "grille": (0.0, 0.4, 1.0),
    **dict.fromkeys(("trim", "plastic", "label", "strut"), (0.0, 0.5, 1.0)),
    **dict.fromkeys(("tyre", "spare wheel", "rubber"), (0.0, 0.85, 1.0)),
    **dict.fromkeys(("underside", "floor", "dark", "seat", "interior"), (0.0, 0.9, 1.0)),
    "wood": (0.0, 0.35, 1.0),
    "leather": (0.0, 0.4, 1.0),
    **dict.fromkeys(("fabric", "cane", "net"), (0.0, 0.95, 1.0)),
    **dict.fromkeys(("glaze", "inside", "foot", "handle"), (0.0, 0.12, 1.0)),
    "drink": (0.0, 0.05, 1.0),
}
_OTHER = (0.0, 0.45, 1.0)


def finish_of(name: str) -> Finish:
    """Of a surface by its name."""
    metallic, roughness, opacity = _METALLIC_ROUGHNESS_OPACITY.get(name, _OTHER)
    return {"metallic": metallic, "roughness": roughness, "opacity": opacity}
