"""Proportions and looks of a chair, drawn at random per kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.paint import hsv
from kp3d_core.data.procedural.primitives import FloatArray

KINDS = ("dining", "shell", "sled", "cantilever", "swivel", "armchair", "stool")
_SHARES = (0.32, 0.12, 0.11, 0.1, 0.17, 0.12, 0.06)


@dataclass(frozen=True)
class ChairShape:
    """Proportions of seat, back and base; lengths in metres, slopes as tangents."""

    kind: str
    seat_depth: float
    seat_width: float
    seat_height: float
    """Of the seat's upper side at its edge."""
    seat_thickness: float
    seat_round: float
    """0 for square corners in plan, 1 for an ellipse."""
    seat_rear_round: float
    """The same for the rear corners."""
    seat_taper: float
    """Share of its width that the seat loses towards the rear."""
    seat_bulge: float
    """Height of the middle above the edge, negative for a dished seat."""
    seat_fall: float
    """How far the front edge curves down."""
    back: str
    """"none", "slat", "spindle", "ladder", "solid", "padded", "round", "hoop" or "net"."""
    back_height: float
    """Above the seat."""
    back_gap: float
    """Share of the height that is open between the seat and a panel."""
    back_width: float
    back_flare: float
    """Gain of width from the seat to the top, as a share."""
    back_lean: float
    back_bow: float
    """How far the sides of the back lie ahead of its middle."""
    back_crest: float
    """How far the middle of the upper edge rises above its corners."""
    back_thickness: float
    back_round: float
    """Roundness of a panel's corners, 0 to 1."""
    back_bars: int
    base: str
    """"legs", "star", "sled", "cantilever" or "pedestal"."""
    rod: float
    """Half the thickness of legs or tubes."""
    rod_taper: float
    """Thickness of a leg's foot as a share of its top."""
    square_rods: bool
    splay: float
    """How far feet stand outside the upper ends of their legs."""
    inset: float
    """Place of the upper ends of the legs, as a share of the half seat."""
    stretchers: str
    """"none", "box", "H" or "front" (a foot rest)."""
    apron: float
    """Height of the rails under the seat; 0 where there are none."""
    arms: str
    """"none", "posts", "pads" (swivel) or "panels"."""
    arm_height: float
    """Above the seat."""
    cushion: float
    """Thickness of a loose cushion on the seat; 0 where there is none."""
    headrest: bool
    base_radius: float
    """Of a star or pedestal."""


@dataclass(frozen=True)
class ChairStyle:
    """Colours and textures."""

    frame: str
    """Finish of legs and rails: "wood", "metal" or "plastic"."""
    frame_color: FloatArray
    seat: str
    """Finish of the seat: "wood", "fabric", "leather", "plastic" or "cane"."""
    seat_color: FloatArray
    back: str
    """Finish of the back's panel."""
    back_color: FloatArray
    cushion_color: FloatArray
    second_color: FloatArray
    pattern: str
    """Of fabric: "plain", "stripes", "checks", "dots" or "blobs"."""
    label: bool
    """A tag on the rear side of the back."""


_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "dining": {
        "depth": (0.36, 0.48), "width": (0.36, 0.52), "height": (0.41, 0.5),
        "thick": (0.018, 0.07), "back": (0.32, 0.68), "lean": (0.03, 0.26), "rod": (0.012, 0.027),
    },
    "shell": {
        "depth": (0.4, 0.48), "width": (0.42, 0.54), "height": (0.4, 0.47),
        "thick": (0.012, 0.03), "back": (0.3, 0.46), "lean": (0.12, 0.35), "rod": (0.008, 0.018),
    },
    "sled": {
        "depth": (0.38, 0.48), "width": (0.4, 0.54), "height": (0.41, 0.48),
        "thick": (0.02, 0.07), "back": (0.3, 0.5), "lean": (0.08, 0.28), "rod": (0.008, 0.014),
    },
    "cantilever": {
        "depth": (0.4, 0.5), "width": (0.42, 0.56), "height": (0.41, 0.48),
        "thick": (0.02, 0.07), "back": (0.34, 0.62), "lean": (0.1, 0.28), "rod": (0.01, 0.017),
    },
    "swivel": {
        "depth": (0.42, 0.52), "width": (0.44, 0.56), "height": (0.42, 0.56),
        "thick": (0.05, 0.11), "back": (0.35, 0.8), "lean": (0.06, 0.24), "rod": (0.014, 0.024),
    },
    "armchair": {
        "depth": (0.5, 0.66), "width": (0.5, 0.72), "height": (0.36, 0.46),
        "thick": (0.14, 0.24), "back": (0.34, 0.72), "lean": (0.1, 0.34), "rod": (0.015, 0.03),
    },
    "stool": {
        "depth": (0.32, 0.42), "width": (0.32, 0.44), "height": (0.58, 0.82),
        "thick": (0.025, 0.08), "back": (0.14, 0.36), "lean": (0.04, 0.2), "rod": (0.01, 0.02),
    },
}  # fmt: skip


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`, the common ones more often."""
    return str(rng.choice(KINDS, p=_SHARES))


def draw_shape(rng: np.random.Generator, kind: str) -> ChairShape:
    """Random proportions of a kind."""
    p = {name: float(rng.uniform(*limits)) for name, limits in _RANGES[kind].items()}
    back = _draw_back(rng, kind)
    if back == "hoop":
        p["thick"] = min(p["thick"], 0.045)
    base = _draw_base(rng, kind)
    wooden = kind in ("dining", "armchair") or (kind == "stool" and rng.random() < 0.5)
    thin = back in ("slat", "spindle", "ladder", "hoop")
    round_seat = float(rng.uniform(0.0, 0.35) if rng.random() < 0.7 else rng.uniform(0.5, 1.0))
    if back == "none":  # round in front and straight behind: else nothing would tell them apart
        round_seat = float(rng.uniform(0.7, 1.0))
    padded = p["thick"] > 0.04
    bulge = rng.uniform(0.1, 0.4) * p["thick"] if padded else -rng.uniform(0.0, 0.4) * p["thick"]
    if kind == "shell":
        bulge, round_seat = -rng.uniform(0.015, 0.04), float(rng.uniform(0.3, 0.7))
    cushion = 0.0
    if not padded and rng.random() < 0.35 or kind == "armchair" and rng.random() < 0.8:
        cushion = float(rng.uniform(0.09, 0.15) if kind == "armchair" else rng.uniform(0.02, 0.06))
    return ChairShape(
        kind=kind,
        seat_depth=p["depth"],
        seat_width=p["width"],
        seat_height=p["height"] - (cushion if kind == "armchair" else 0.0),
        seat_thickness=p["thick"],
        seat_round=round_seat if kind != "armchair" else 0.05,
        seat_rear_round=0.0 if back == "none" else round_seat * float(rng.uniform(0.2, 1.0)),
        seat_taper=float(rng.uniform(0.0, 0.2)),
        seat_bulge=float(bulge) if kind != "armchair" else 0.0,
        seat_fall=float(rng.uniform(0.0, 0.4)) * min(p["thick"], 0.06)
        if kind != "armchair"
        else 0.0,
        back=back,
        back_height=p["back"] if back != "none" else 0.0,
        back_gap=_draw_gap(rng, kind, back),
        back_width=p["width"] * float(rng.uniform(0.78, 1.0)),
        back_flare=float(rng.uniform(-0.2, 0.15)),
        back_lean=p["lean"],
        back_bow=float(rng.uniform(0.0, 0.06) if kind != "shell" else rng.uniform(0.05, 0.13)),
        back_crest=float(rng.uniform(0.0, 0.05)) if rng.random() < 0.5 else 0.0,
        back_thickness=float(
            rng.uniform(0.1, 0.2)
            if kind == "armchair"
            else rng.uniform(0.035, 0.08)
            if back == "padded"
            else rng.uniform(0.012, 0.026)
        ),
        back_round=float(rng.uniform(0.4, 0.8) if kind == "shell" else rng.uniform(0.0, 0.45)),
        back_bars=int(rng.integers(3, 6) if back == "ladder" else rng.integers(3, 9)),
        base=base,
        rod=p["rod"] * (1.0 if not thin else 0.9),
        rod_taper=float(rng.uniform(0.55, 1.0)),
        square_rods=bool(rng.random() < (0.55 if wooden else 0.15)),
        splay=float(rng.uniform(0.0, 0.05) if kind != "shell" else rng.uniform(0.02, 0.09)),
        inset=float(rng.uniform(0.78, 0.94) if kind != "shell" else rng.uniform(0.45, 0.7)),
        stretchers=_draw_stretchers(rng, kind, base),
        apron=float(rng.uniform(0.04, 0.09)) if kind == "dining" and rng.random() < 0.5 else 0.0,
        arms=_draw_arms(rng, kind, back),
        arm_height=float(rng.uniform(0.18, 0.26)),
        cushion=cushion,
        headrest=kind == "swivel" and bool(rng.random() < 0.3),
        base_radius=float(rng.uniform(0.26, 0.35) if base == "star" else rng.uniform(0.19, 0.24)),
    )


def _draw_back(rng: np.random.Generator, kind: str) -> str:
    names = ["slat", "spindle", "ladder", "solid", "padded", "round", "hoop", "net", "none"]
    shares = {
        "dining": [0.2, 0.12, 0.18, 0.16, 0.12, 0.1, 0.12, 0.0, 0.0],
        "shell": [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        "sled": [0.0, 0.0, 0.1, 0.45, 0.4, 0.05, 0.0, 0.0, 0.0],
        "cantilever": [0.0, 0.0, 0.1, 0.4, 0.4, 0.0, 0.0, 0.1, 0.0],
        "swivel": [0.0, 0.0, 0.0, 0.15, 0.5, 0.05, 0.0, 0.3, 0.0],
        "armchair": [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        "stool": [0.15, 0.05, 0.15, 0.25, 0.15, 0.0, 0.0, 0.0, 0.25],
    }[kind]
    return str(rng.choice(names, p=shares))


def _draw_gap(rng: np.random.Generator, kind: str, back: str) -> float:
    if kind in ("shell", "armchair"):
        return -0.05
    if back in ("solid", "padded", "net"):
        return float(rng.uniform(0.0, 0.5))
    return float(rng.uniform(0.12, 0.3))


def _draw_base(rng: np.random.Generator, kind: str) -> str:
    if kind in ("sled", "cantilever"):
        return kind
    if kind == "swivel":
        return "star"
    if kind == "stool":
        return str(rng.choice(["legs", "pedestal", "sled"], p=[0.65, 0.2, 0.15]))
    if kind == "shell":
        return str(rng.choice(["legs", "pedestal", "star"], p=[0.8, 0.1, 0.1]))
    return "legs"


def _draw_stretchers(rng: np.random.Generator, kind: str, base: str) -> str:
    if kind == "stool":
        return "front"
    if base != "legs" or kind == "armchair":
        return "none"
    return str(rng.choice(["none", "box", "H"], p=[0.5, 0.25, 0.25]))


def _draw_arms(rng: np.random.Generator, kind: str, back: str) -> str:
    if kind == "armchair":
        return "panels" if rng.random() < 0.75 else "posts"
    if kind == "swivel":
        return "pads" if rng.random() < 0.65 else "none"
    if kind == "stool" or back == "none":
        return "none"
    return "posts" if rng.random() < (0.2 if kind == "shell" else 0.33) else "none"


def draw_style(rng: np.random.Generator, shape: ChairShape) -> ChairStyle:
    """Random colours and textures that suit a shape."""
    kind = shape.kind
    frame = {
        "dining": ["wood", "wood", "wood", "metal", "plastic"],
        "armchair": ["wood", "wood", "metal"],
        "stool": ["wood", "metal"],
        "shell": ["wood", "metal", "plastic"],
        "swivel": ["plastic", "metal"],
    }.get(kind, ["metal"])
    frame_finish = str(rng.choice(frame))
    padded = shape.seat_thickness > 0.04
    thin_seats = ["plastic"] if kind == "shell" else ["wood", "wood", "plastic", "cane"]
    seat = str(rng.choice(["fabric", "fabric", "leather"] if padded else thin_seats))
    soft_back = shape.back == "padded"
    if frame_finish == "plastic" and not padded:
        seat = "plastic"
    back = seat if (soft_back and padded) or kind == "shell" else (
        "fabric" if soft_back else "plastic" if frame_finish == "plastic" else
        str(rng.choice(["wood", "plastic"])) if frame_finish == "metal" else "wood"
    )  # fmt: skip
    wood, plastic = _wood_color(rng), _bright_color(rng)
    colors = {"wood": wood, "plastic": plastic, "cane": np.array([0.78, 0.64, 0.42]),
              "fabric": _cloth_color(rng), "leather": _leather_color(rng),
              "metal": _metal_color(rng)}  # fmt: skip
    frame_color = colors[frame_finish]
    if kind == "swivel" and frame_finish == "plastic":
        frame_color = np.full(3, rng.choice([0.1, 0.14, 0.4, 0.85]))
    same = seat == back or rng.random() < 0.6
    return ChairStyle(
        frame=frame_finish,
        frame_color=frame_color,
        seat=seat,
        seat_color=colors[seat],
        back=back,
        back_color=colors[back] if same or back == "wood" else _bright_color(rng),
        cushion_color=_cloth_color(rng),
        second_color=_bright_color(rng),
        pattern=str(rng.choice(["plain", "stripes", "checks", "dots", "blobs"],
                               p=[0.45, 0.18, 0.13, 0.1, 0.14])),
        label=bool(rng.random() < 0.2),
    )  # fmt: skip


def _wood_color(rng: np.random.Generator) -> FloatArray:
    """From birch over oak and teak to wenge; painted at times."""
    if rng.random() < 0.2:
        return _bright_color(rng)
    return hsv(rng.uniform(0.04, 0.11), rng.uniform(0.3, 0.7), rng.uniform(0.22, 0.9))


def _bright_color(rng: np.random.Generator) -> FloatArray:
    if rng.random() < 0.4:
        return np.full(3, rng.choice([0.1, 0.18, 0.5, 0.88, 0.95]))
    return hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.35, 0.95))


def _cloth_color(rng: np.random.Generator) -> FloatArray:
    return hsv(rng.random(), rng.uniform(0.02, 0.75), rng.uniform(0.12, 0.92))


def _leather_color(rng: np.random.Generator) -> FloatArray:
    if rng.random() < 0.5:
        return np.full(3, rng.choice([0.1, 0.15, 0.85]))
    return hsv(rng.uniform(0.0, 0.09), rng.uniform(0.4, 0.8), rng.uniform(0.2, 0.7))


def _metal_color(rng: np.random.Generator) -> FloatArray:
    if rng.random() < 0.4:
        return _bright_color(rng)
    return rng.uniform(0.35, 0.85) * np.array([0.97, 0.98, 1.0])
