"""Proportions and looks of a car, drawn at random per kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.paint import draw_paint, draw_second_paint
from kp3d_core.data.procedural.primitives import FloatArray

KINDS = ("sedan", "hatchback", "suv", "pickup", "van", "bus", "sports")


@dataclass(frozen=True)
class CarShape:
    """Proportions of body, cabin and wheels.

    Lengths in metres and angles in radians; x runs forward from the middle of the car, z up from
    the road.
    """

    kind: str
    length: float
    width: float
    height: float
    wheel_radius: float
    wheel_width: float
    front_axle_x: float
    rear_axle_x: float
    clearance: float
    """Height of the sill above the road."""
    arch_gap: float
    """Distance between tyre and wheel arch."""
    nose_height: float
    cowl_height: float
    """Height of the bonnet at the foot of the windscreen."""
    belt_height: float
    deck_height: float
    """Height of the boot lid at the foot of the rear window."""
    tail_height: float
    cowl_x: float
    """Foot of the windscreen."""
    deck_x: float
    """Foot of the rear window."""
    windscreen_angle: float
    """Lean of the windscreen from the vertical."""
    rear_angle: float
    """Lean of the rear window from the vertical."""
    tumblehome: float
    """Share of its width that the cabin loses from belt to roof."""
    roof_crown: float
    roof_radius: float
    """Radius of the edge between roof and sides."""
    roof_drop: float
    """How much lower the roof is at its rear end."""
    front_bow: float
    """How far the corners of the front lie behind its middle."""
    rear_bow: float
    front_taper: float
    """Share of its width that the body loses towards the front."""
    rear_taper: float
    front_round: float
    """How far the top and bottom edge of the front lie behind the bumper."""
    rear_round: float
    front_tilt: float
    """How far the top edge of the front leans backwards."""
    rear_tilt: float
    tuck_low: float
    """Share of the width lost from the widest height to the sill."""
    tuck_high: float
    """Share of the width lost from the widest height to the shoulder."""
    bonnet_crown: float
    shoulder_drop: float
    nose_drop: float
    tail_drop: float
    bed_depth: float
    """Depth of a pickup's load bed; 0 where there is none."""
    double_decker: bool
    open_top: bool = False
    """No roof: a windscreen, and an opening with seats behind it."""


@dataclass(frozen=True)
class CarStyle:
    """Colours, and which parts the car has."""

    paint: FloatArray
    second_paint: FloatArray
    trim: FloatArray
    """Bumpers and cladding of unpainted plastic."""
    glass: FloatArray
    rim: FloatArray
    tyre: FloatArray
    rim_spokes: int
    rim_radius: float
    """Share of the wheel radius."""
    two_tone: str
    """"none", "roof", "lower" or "upper"."""
    bumper: str
    """"paint", "trim" or "chrome"."""
    cladding: bool
    headlight: str
    """"round", "square", "slanted" or "slim"."""
    headlight_color: FloatArray
    headlight_size: float
    light_wrap: float
    """How far the lights reach around the corners onto the sides [m]; 0 keeps them off."""
    light_bezel: bool
    """Dark or chromed frames around the headlights."""
    taillight: str
    """"square", "tall", "round", "bar" or "slim"."""
    taillight_color: FloatArray
    taillight_size: float
    grille: str
    """"none", "wide", "narrow" or "low"."""
    grille_color: FloatArray
    plate: str
    """"both", "rear" or "none"."""
    plate_long: bool
    plate_color: FloatArray
    mirrors: bool
    mirror_painted: bool
    side_windows: int
    """Panes a side; 1 means front doors only."""
    door_left: bool
    """A bus's doors are on its left (traffic on the left) rather than on its right."""
    rear_window: bool
    decal: str
    """Side decoration: "none", "stripe", "band", "advert", "number", "checker" or "blobs"."""
    top_stripes: int
    sunroof: bool
    roof_rack: bool
    roof_box: bool
    spoiler: bool
    light_bar: str
    """"none", "taxi", "beacon"."""
    exhaust: int
    spare_wheel: bool
    fog_lights: bool
    dirt: float
    window_frames: bool = False
    """Black around the panes and between them."""


# Uniform ranges; lengths in metres, angles in degrees, everything else as a share of the length
# (overhangs, bonnet, deck) or of the height (belt, nose, tail). "deck" is what lies behind the foot
# of the rear window.
_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "sedan": {
        "length": (4.1, 5.2), "width": (1.68, 1.92), "height": (1.35, 1.56),
        "wheel_radius": (0.28, 0.36), "clearance": (0.15, 0.24),
        "front_overhang": (0.155, 0.21), "rear_overhang": (0.19, 0.26),
        "belt": (0.6, 0.69), "nose": (0.44, 0.56), "tail": (0.54, 0.67),
        "bonnet": (0.23, 0.34), "deck": (0.09, 0.21),
        "windscreen": (42.0, 62.0), "rear": (40.0, 62.0), "tumblehome": (0.12, 0.26),
    },
    "hatchback": {
        "length": (3.3, 4.4), "width": (1.58, 1.84), "height": (1.36, 1.66),
        "wheel_radius": (0.26, 0.35), "clearance": (0.15, 0.24),
        "front_overhang": (0.15, 0.215), "rear_overhang": (0.12, 0.19),
        "belt": (0.56, 0.66), "nose": (0.42, 0.55), "tail": (0.52, 0.62),
        "bonnet": (0.17, 0.3), "deck": (0.015, 0.04),
        "windscreen": (36.0, 60.0), "rear": (14.0, 48.0), "tumblehome": (0.1, 0.24),
    },
    "suv": {
        "length": (3.9, 5.1), "width": (1.74, 2.02), "height": (1.6, 1.98),
        "wheel_radius": (0.34, 0.44), "clearance": (0.24, 0.38),
        "front_overhang": (0.15, 0.2), "rear_overhang": (0.15, 0.22),
        "belt": (0.56, 0.66), "nose": (0.48, 0.58), "tail": (0.54, 0.64),
        "bonnet": (0.21, 0.31), "deck": (0.012, 0.04),
        "windscreen": (22.0, 52.0), "rear": (5.0, 34.0), "tumblehome": (0.06, 0.2),
    },
    "pickup": {
        "length": (4.7, 6.0), "width": (1.72, 2.05), "height": (1.55, 1.98),
        "wheel_radius": (0.33, 0.44), "clearance": (0.26, 0.42),
        "front_overhang": (0.14, 0.19), "rear_overhang": (0.17, 0.24),
        "belt": (0.56, 0.66), "nose": (0.48, 0.6), "tail": (0.52, 0.64),
        "bonnet": (0.21, 0.3), "deck": (0.28, 0.44),
        "windscreen": (28.0, 52.0), "rear": (2.0, 18.0), "tumblehome": (0.08, 0.2),
    },
    "van": {
        "length": (4.2, 6.6), "width": (1.7, 2.15), "height": (1.8, 2.75),
        "wheel_radius": (0.28, 0.38), "clearance": (0.2, 0.34),
        "front_overhang": (0.13, 0.19), "rear_overhang": (0.14, 0.22),
        "belt": (0.48, 0.56), "nose": (0.32, 0.45), "tail": (0.46, 0.54),
        "bonnet": (0.05, 0.2), "deck": (0.008, 0.02),
        "windscreen": (20.0, 50.0), "rear": (0.0, 9.0), "tumblehome": (0.02, 0.14),
    },
    "bus": {
        "length": (6.5, 12.5), "width": (2.2, 2.6), "height": (2.65, 3.4),
        "wheel_radius": (0.42, 0.54), "clearance": (0.28, 0.45),
        "front_overhang": (0.13, 0.25), "rear_overhang": (0.2, 0.28),
        "belt": (0.4, 0.5), "nose": (0.36, 0.46), "tail": (0.4, 0.48),
        "bonnet": (0.008, 0.03), "deck": (0.006, 0.02),
        "windscreen": (3.0, 18.0), "rear": (0.0, 6.0), "tumblehome": (0.01, 0.08),
    },
    "sports": {
        "length": (3.8, 4.8), "width": (1.74, 2.02), "height": (1.06, 1.3),
        "wheel_radius": (0.3, 0.37), "clearance": (0.1, 0.16),
        "front_overhang": (0.16, 0.24), "rear_overhang": (0.16, 0.22),
        "belt": (0.6, 0.7), "nose": (0.36, 0.52), "tail": (0.58, 0.74),
        "bonnet": (0.24, 0.44), "deck": (0.03, 0.2),
        "windscreen": (52.0, 66.0), "rear": (52.0, 70.0), "tumblehome": (0.16, 0.3),
    },
}  # fmt: skip


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`, all equally likely."""
    return str(rng.choice(KINDS))


def draw_shape(rng: np.random.Generator, kind: str) -> CarShape:
    """Random proportions of a kind."""
    p = {name: float(rng.uniform(*limits)) for name, limits in _RANGES[kind].items()}
    double_decker = kind == "bus" and rng.random() < 0.12
    if double_decker:
        p["height"] += 1.1
        p["belt"], p["nose"], p["tail"] = (0.72 * p[k] for k in ("belt", "nose", "tail"))
    if kind == "bus" and not double_decker and rng.random() < 0.2:  # a school bus
        p["bonnet"], p["front_overhang"] = rng.uniform(0.1, 0.16), rng.uniform(0.08, 0.11)
        p["length"] *= 0.8
    if kind == "sports" and rng.random() < 0.3:  # engine in the middle: cabin far forward
        p["bonnet"], p["deck"] = rng.uniform(0.17, 0.24), rng.uniform(0.15, 0.3)
    half, height = p["length"] / 2.0, p["height"]
    belt = p["belt"] * height
    bonneted_bus = kind == "bus" and p["bonnet"] > 0.05
    nose = max(p["nose"] * height, (2.2 if bonneted_bus else 1.8) * p["wheel_radius"])
    tail = max(p["tail"] * height, 1.7 * p["wheel_radius"])
    boxy = float(rng.uniform(0.0, 1.0))  # 0 modern and round, 1 square-cut
    front_bow = float(rng.uniform(0.03, 0.22 - 0.16 * boxy)) * p["width"]
    if kind == "bus":
        front_bow = max(front_bow, float(rng.uniform(0.06, 0.16)) * p["width"])
    front_round = float(rng.uniform(0.05, 0.5 - 0.35 * boxy)) * (nose - p["clearance"])
    rear_round = float(rng.uniform(0.04, 0.35 - 0.25 * boxy)) * (tail - p["clearance"])
    front_tilt = float(rng.uniform(-0.12, 0.18)) * (nose - p["clearance"])
    rear_tilt = float(rng.uniform(-0.15, 0.2)) * (tail - p["clearance"])
    # The feet of the screens stay on the body, whose upper edges may lean inwards.
    space_front = max(p["bonnet"] * p["length"], front_tilt + 0.4 * front_round + 0.02)
    space_rear = max(p["deck"] * p["length"], rear_tilt + 0.4 * rear_round + 0.02)
    cabin_x = (space_rear - half, half - space_front)
    windscreen, rear = _fit_slopes(p, cabin_x[1] - cabin_x[0], height - belt)
    return CarShape(
        kind=kind,
        length=p["length"],
        width=p["width"],
        height=height,
        wheel_radius=p["wheel_radius"],
        wheel_width=p["wheel_radius"] * float(rng.uniform(0.55, 0.8)),
        front_axle_x=half - max(p["front_overhang"] * p["length"], 1.45 * p["wheel_radius"]),
        rear_axle_x=-half + max(p["rear_overhang"] * p["length"], 1.45 * p["wheel_radius"]),
        clearance=p["clearance"],
        arch_gap=p["wheel_radius"] * float(rng.uniform(0.1, 0.25)),
        nose_height=nose,
        cowl_height=max(belt - float(rng.uniform(0.0, 0.06)) * height, nose + 0.02),
        belt_height=belt,
        deck_height=max(belt - float(rng.uniform(0.0, 0.03)) * height, tail),
        tail_height=tail,
        cowl_x=cabin_x[1],
        deck_x=cabin_x[0],
        windscreen_angle=windscreen,
        rear_angle=rear,
        tumblehome=p["tumblehome"],
        roof_crown=float(rng.uniform(0.01, 0.05)) * p["width"],
        roof_radius=float(rng.uniform(0.04, 0.16)) * (1.3 - boxy),
        roof_drop=float(rng.uniform(0.0, 0.1)) * (height - belt) * (kind not in ("van", "bus")),
        front_bow=front_bow,
        rear_bow=float(rng.uniform(0.02, 0.15 - 0.11 * boxy)) * p["width"],
        front_taper=float(rng.uniform(0.02, 0.2 - 0.14 * boxy)),
        rear_taper=float(rng.uniform(0.02, 0.14 - 0.1 * boxy)),
        front_round=front_round,
        rear_round=rear_round,
        front_tilt=front_tilt,
        rear_tilt=rear_tilt,
        tuck_low=float(rng.uniform(0.02, 0.1)),
        tuck_high=float(rng.uniform(0.01, 0.09)),
        bonnet_crown=float(rng.uniform(0.01, 0.05)) * p["width"],
        shoulder_drop=float(rng.uniform(0.02, 0.07)) * (1.3 - boxy),
        nose_drop=min(
            float(rng.uniform(0.03, 0.16)) * (1.2 - boxy) * min(1.0, 4.0 * p["bonnet"]),
            0.15 * (nose - p["clearance"]),  # keeps the headlights above the hubs
        ),
        tail_drop=float(rng.uniform(0.0, 0.07)) * (1.2 - boxy),
        bed_depth=(tail - p["clearance"]) * float(rng.uniform(0.45, 0.7)) * (kind == "pickup"),
        double_decker=double_decker,
    )


def _fit_slopes(p: dict[str, float], foot: float, cabin_height: float) -> tuple[float, float]:
    """Angles of windscreen and rear window, made steeper until enough roof remains."""
    slopes = np.tan(np.radians([p["windscreen"], p["rear"]]))
    available = max(foot - 0.16 * p["length"], 0.05 * foot)
    slopes = slopes * min(1.0, available / max(cabin_height * float(slopes.sum()), 1e-6))
    return float(np.arctan(slopes[0])), float(np.arctan(slopes[1]))


def draw_style(rng: np.random.Generator, shape: CarShape) -> CarStyle:
    """Random colours and parts that suit a shape."""
    kind = shape.kind
    large = kind in ("van", "bus")
    paint = draw_paint(rng)
    panes = {"sedan": 2, "hatchback": 2, "suv": 3, "pickup": 2, "van": 3, "bus": 6, "sports": 1}
    side_windows = max(1, panes[kind] + int(rng.integers(-1, 2)))
    if kind == "van" and rng.random() < 0.5:
        side_windows = 1
    if kind == "bus":
        side_windows = int(round(shape.length / rng.uniform(1.1, 1.9)))
    decals = ["stripe", "band", "advert", "number", "checker", "blobs"]
    decal_share = {"van": 0.65, "bus": 0.75}.get(kind, 0.3)
    return CarStyle(
        paint=paint,
        second_paint=draw_second_paint(rng, paint),
        trim=np.full(3, rng.uniform(0.06, 0.3)),
        glass=_glass_color(rng),
        rim=rng.choice([0.08, 0.35, 0.6, 0.75, 0.85]) * rng.uniform(0.92, 1.0, 3),
        tyre=np.full(3, rng.uniform(0.04, 0.13)),
        rim_spokes=int(rng.choice([0, 4, 5, 5, 6, 7, 8, 10])),
        rim_radius=float(rng.uniform(0.52, 0.78)),
        two_tone=str(rng.choice(["none", "roof", "lower", "upper"], p=[0.66, 0.16, 0.11, 0.07])),
        bumper=str(rng.choice(["paint", "trim", "chrome"], p=[0.5, 0.35, 0.15])),
        cladding=bool(rng.random() < (0.6 if kind in ("suv", "pickup") else 0.15)),
        headlight=str(rng.choice(["round", "square", "slanted", "slim"])),
        headlight_color=_headlight_color(rng),
        headlight_size=float(rng.uniform(0.8, 1.4)),
        light_wrap=float(rng.uniform(0.06, 0.25)) if rng.random() < 0.5 else 0.0,
        light_bezel=bool(rng.random() < 0.4),
        taillight=str(rng.choice(["square", "tall", "round", "bar", "slim"])),
        taillight_color=np.array([rng.uniform(0.5, 0.95), *rng.uniform(0.0, 0.14, 2)]),
        taillight_size=float(rng.uniform(0.85, 1.5)),
        grille=str(rng.choice(["none", "wide", "narrow", "low"], p=[0.12, 0.4, 0.3, 0.18])),
        grille_color=np.full(3, rng.choice([0.03, 0.08, 0.15, 0.6])),
        plate=str(rng.choice(["both", "rear", "none"], p=[0.7, 0.2, 0.1])),
        plate_long=bool(rng.random() < 0.6),
        plate_color=np.array([[0.92, 0.92, 0.9], [0.92, 0.8, 0.2]][int(rng.random() < 0.25)]),
        mirrors=bool(rng.random() < 0.93),
        mirror_painted=bool(rng.random() < 0.6),
        side_windows=side_windows,
        door_left=bool(rng.random() < 0.3),
        rear_window=bool(kind != "van" or rng.random() < 0.6),
        decal=str(rng.choice(decals)) if rng.random() < decal_share else "none",
        top_stripes=int(rng.choice([1, 2, 2])) if _lucky(rng, kind, "sports", 0.35, 0.06) else 0,
        sunroof=bool(not large and rng.random() < 0.2),
        roof_rack=bool(kind in ("suv", "hatchback", "sedan", "van") and rng.random() < 0.25),
        roof_box=bool(kind != "sports" and rng.random() < (0.5 if kind == "bus" else 0.08)),
        spoiler=_lucky(rng, kind, "sports", 0.5, 0.0 if kind in ("bus", "pickup") else 0.15),
        light_bar=str(rng.choice(["none", "taxi", "beacon"], p=[0.9, 0.06, 0.04])),
        exhaust=int(rng.choice([0, 1, 2])),
        spare_wheel=_lucky(rng, kind, "suv", 0.2, 0.0),
        fog_lights=bool(rng.random() < 0.35),
        dirt=float(rng.uniform(0.0, 0.5)) if rng.random() < 0.3 else 0.0,
    )


def _glass_color(rng: np.random.Generator) -> FloatArray:
    """Dark, or brighter as if the sky were mirrored in it."""
    level = rng.uniform(0.35, 0.55) if rng.random() < 0.12 else rng.uniform(0.04, 0.28)
    return level * np.array([0.85, 1.0, 1.15]) + rng.uniform(0.0, 0.03, 3)


def _headlight_color(rng: np.random.Generator) -> FloatArray:
    """White, yellowish or (rarely) smoked glass."""
    bases = np.array([[0.95, 0.95, 0.95], [0.98, 0.93, 0.72], [0.75, 0.8, 0.86], [0.45, 0.47, 0.5]])
    return bases[rng.choice(4, p=[0.45, 0.25, 0.2, 0.1])] * rng.uniform(0.9, 1.0)


def _lucky(
    rng: np.random.Generator, kind: str, favoured: str, share: float, otherwise: float
) -> bool:
    return bool(rng.random() < (share if kind == favoured else otherwise))
