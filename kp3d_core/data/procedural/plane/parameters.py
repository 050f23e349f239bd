"""Proportions and looks of a plane, drawn at random per kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.paint import draw_paint, draw_second_paint
from kp3d_core.data.procedural.primitives import FloatArray

KINDS = ("airliner", "bizjet", "turboprop", "propeller", "biplane", "fighter", "glider")
_SHARES = (0.24, 0.14, 0.12, 0.16, 0.06, 0.16, 0.12)


@dataclass(frozen=True)
class PlaneShape:
    """Proportions of fuselage, wings and tail.

    Lengths in metres; x runs forward from the middle of the fuselage, z up from its axis. Sweeps
    are tangents: how far a leading edge moves back for each metre outwards.
    """

    kind: str
    length: float
    """Of the fuselage, without spinner."""
    half_width: float
    half_height: float
    squareness: float
    """Exponent of the fuselage's superellipse: 2 is an ellipse."""
    nose_length: float
    nose_power: float
    """Bluntness of the nose: 2 is an ellipse, towards 1 it becomes a cone."""
    nose_drop: float
    """How far the nose lies below the axis, as a share of the half height."""
    tail_length: float
    tail_size: float
    """Share of the cross-section left at the rear end."""
    tail_rise: float
    """How far the rear end lies above the axis, as a share of the half height."""
    span: float
    wing_x: float
    """Leading edge of the wing at the axis."""
    wing_z: float
    """Height of the wing as a share of the half height: -1 low, 1 high."""
    root_chord: float
    tip_chord: float
    sweep: float
    dihedral: float
    """Rise of the wing for each metre outwards."""
    thickness: float
    """Of the wing's profile, as a share of its chord."""
    kink: float
    """Share of the half span at which the trailing edge bends; 0 where it is straight."""
    winglet: float
    """Height of the winglets; 0 where there are none."""
    tailplane: str
    """"fuselage", "cross" (on the fin), "T" (on top of the fin) or "none" (delta)."""
    tail_span: float
    tail_chord: float
    tail_taper: float
    tail_sweep: float
    canard: bool
    fins: int
    fin_height: float
    fin_chord: float
    fin_taper: float
    fin_sweep: float
    fin_cant: float
    """Lean of each of two fins outwards, tangent."""
    engines: str
    """"wing" or "tail" (jets in nacelles), "propellers" (on the wing), "nose" (one propeller),
    "inside" (jet pipes at the end of the fuselage) or "none"."""
    engine_count: int
    engine_size: float
    """Radius of a nacelle."""
    engine_length: float
    propeller_blades: int
    propeller_radius: float
    canopy: str
    """"windscreen" (flush), "bubble" or "cabin" (raised, with side windows)."""
    gear: str
    """"up", "nosewheel" or "tailwheel"."""
    gear_length: float
    upper_wing: float
    """Height of a biplane's upper wing over the lower one; 0 for a monoplane."""
    struts: bool
    """Struts from the fuselage to a high wing."""
    stores: int
    """Tanks or missiles under each wing."""


@dataclass(frozen=True)
class PlaneStyle:
    """Colours and markings."""

    paint: FloatArray
    second_paint: FloatArray
    third_paint: FloatArray
    belly: FloatArray
    wing: FloatArray
    engine: FloatArray
    metal: FloatArray
    glass: FloatArray
    livery: str
    """"tail", "cheatline", "belly", "swoosh", "plain", "nose", "rings" or "camouflage"."""
    tail_painted: bool
    tail_logo: str
    """"none", "disc", "bars", "diagonal" or "letter"."""
    titles: bool
    registration: bool
    roundels: bool
    window_rows: int
    window_pitch: float
    """Distance between cabin windows [m]."""
    wing_tips_painted: bool
    wing_stripes: bool


# Uniform ranges. Lengths in metres; radii, nose, tail and wing_x as shares of the length, chords
# and span too; tail_span as a share of the span; fin as a share of the length.
_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "airliner": {
        "length": (28.0, 72.0), "radius": (0.043, 0.062), "nose": (0.1, 0.15), "tail": (0.26, 0.36),
        "span": (0.82, 1.05), "wing_x": (0.08, 0.16), "root": (0.17, 0.24), "tip": (0.035, 0.06),
        "sweep": (0.42, 0.72), "dihedral": (0.06, 0.13), "tail_span": (0.34, 0.4),
        "tail_chord": (0.09, 0.13), "tail_sweep": (0.5, 0.8), "fin": (0.12, 0.18),
        "fin_chord": (0.13, 0.19), "fin_sweep": (0.55, 0.9),
    },
    "bizjet": {
        "length": (12.0, 30.0), "radius": (0.046, 0.062), "nose": (0.13, 0.2), "tail": (0.3, 0.4),
        "span": (0.8, 1.02), "wing_x": (0.0, 0.1), "root": (0.16, 0.24), "tip": (0.04, 0.07),
        "sweep": (0.2, 0.65), "dihedral": (0.03, 0.09), "tail_span": (0.34, 0.42),
        "tail_chord": (0.08, 0.11), "tail_sweep": (0.35, 0.7), "fin": (0.14, 0.19),
        "fin_chord": (0.14, 0.2), "fin_sweep": (0.7, 1.1),
    },
    "turboprop": {
        "length": (14.0, 34.0), "radius": (0.05, 0.07), "nose": (0.12, 0.18), "tail": (0.32, 0.42),
        "span": (0.95, 1.25), "wing_x": (0.08, 0.16), "root": (0.11, 0.15), "tip": (0.06, 0.09),
        "sweep": (0.0, 0.08), "dihedral": (0.01, 0.08), "tail_span": (0.28, 0.36),
        "tail_chord": (0.08, 0.12), "tail_sweep": (0.08, 0.4), "fin": (0.15, 0.21),
        "fin_chord": (0.13, 0.2), "fin_sweep": (0.3, 0.8),
    },
    "propeller": {
        "length": (6.2, 10.0), "radius": (0.062, 0.085), "nose": (0.1, 0.2), "tail": (0.48, 0.62),
        "span": (1.15, 1.5), "wing_x": (0.1, 0.2), "root": (0.18, 0.25), "tip": (0.1, 0.2),
        "sweep": (-0.02, 0.12), "dihedral": (0.02, 0.11), "tail_span": (0.28, 0.36),
        "tail_chord": (0.1, 0.14), "tail_sweep": (0.0, 0.25), "fin": (0.13, 0.19),
        "fin_chord": (0.13, 0.19), "fin_sweep": (0.2, 0.8),
    },
    "biplane": {
        "length": (5.8, 9.5), "radius": (0.06, 0.085), "nose": (0.06, 0.14), "tail": (0.5, 0.62),
        "span": (1.05, 1.35), "wing_x": (0.14, 0.22), "root": (0.17, 0.21), "tip": (0.15, 0.19),
        "sweep": (-0.02, 0.14), "dihedral": (0.0, 0.06), "tail_span": (0.32, 0.4),
        "tail_chord": (0.11, 0.15), "tail_sweep": (0.05, 0.3), "fin": (0.12, 0.16),
        "fin_chord": (0.12, 0.17), "fin_sweep": (0.2, 0.6),
    },
    "fighter": {
        "length": (11.0, 21.0), "radius": (0.04, 0.058), "nose": (0.24, 0.36), "tail": (0.2, 0.3),
        "span": (0.52, 0.78), "wing_x": (-0.02, 0.14), "root": (0.26, 0.38), "tip": (0.03, 0.09),
        "sweep": (0.55, 1.15), "dihedral": (-0.08, 0.04), "tail_span": (0.5, 0.66),
        "tail_chord": (0.13, 0.18), "tail_sweep": (0.6, 1.0), "fin": (0.13, 0.19),
        "fin_chord": (0.17, 0.25), "fin_sweep": (0.6, 1.1),
    },
    "glider": {
        "length": (6.3, 8.8), "radius": (0.036, 0.052), "nose": (0.26, 0.36), "tail": (0.5, 0.6),
        "span": (1.7, 2.5), "wing_x": (0.1, 0.17), "root": (0.1, 0.15), "tip": (0.04, 0.08),
        "sweep": (-0.01, 0.05), "dihedral": (0.03, 0.08), "tail_span": (0.14, 0.2),
        "tail_chord": (0.06, 0.09), "tail_sweep": (0.02, 0.2), "fin": (0.14, 0.19),
        "fin_chord": (0.1, 0.15), "fin_sweep": (0.1, 0.45),
    },
}  # fmt: skip


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`, the common ones more often."""
    return str(rng.choice(KINDS, p=_SHARES))


def draw_shape(rng: np.random.Generator, kind: str) -> PlaneShape:
    """Random proportions of a kind."""
    p = {name: float(rng.uniform(*limits)) for name, limits in _RANGES[kind].items()}
    length, span = p["length"], p["span"] * p["length"]
    engines, count = _draw_engines(rng, kind)
    delta = kind == "fighter" and rng.random() < 0.4
    tailplane = "none" if delta else _draw_tailplane(rng, kind, engines)
    fins = 2 if kind == "fighter" and rng.random() < (0.15 if delta else 0.55) else 1
    if kind in ("turboprop", "propeller") and tailplane == "fuselage" and rng.random() < 0.12:
        fins = 2
    wing_z = _draw_wing_height(rng, kind)
    if delta:
        p["root"], p["sweep"] = rng.uniform(0.44, 0.56), rng.uniform(1.15, 1.6)
        p["tip"], p["wing_x"] = rng.uniform(0.02, 0.06), rng.uniform(0.08, 0.16)
        span = min(span, 2.0 * (p["root"] - p["tip"]) * length / p["sweep"] * 1.05)
    if kind in ("airliner", "bizjet") and engines == "tail":
        p["wing_x"] -= 0.05  # engines at the back move the balance, and with it the wing
    half_height = p["radius"] * length
    width = {"fighter": (1.0, 1.9), "glider": (0.8, 0.95), "propeller": (0.8, 1.0)}.get(
        kind, (0.94, 1.04)
    )
    radius = half_height * {"fighter": 1.0}.get(kind, 1.0)
    root, tip = p["root"] * length, p["tip"] * length
    engine_size = {
        "wing": rng.uniform(0.42, 0.72) * radius * (0.75 if count == 4 else 1.0),
        "tail": rng.uniform(0.38, 0.6) * radius,
        "propellers": rng.uniform(0.32, 0.48) * radius,
    }.get(engines, 0.5 * radius)
    small = kind in ("propeller", "biplane")
    if small:
        blade = rng.uniform(0.105, 0.14) * length
    else:
        blade = min(rng.uniform(1.0, 1.5) * radius, 0.1 * span)
    cross_tail = tailplane in ("T", "cross")
    return PlaneShape(
        kind=kind,
        length=length,
        half_width=half_height * float(rng.uniform(*width)),
        half_height=half_height,
        squareness=float(rng.uniform(2.2, 3.6) if small or kind == "fighter" else 2.0),
        nose_length=p["nose"] * length,
        nose_power=float(rng.uniform(1.1, 1.45) if kind == "fighter" else rng.uniform(1.6, 2.2)),
        nose_drop=float(rng.uniform(0.05, 0.4)) * (kind not in ("biplane",)),
        tail_length=p["tail"] * length,
        tail_size=float(rng.uniform(0.5, 0.75) if kind == "fighter" else rng.uniform(0.06, 0.2)),
        tail_rise=0.0 if kind == "fighter" else float(rng.uniform(0.25, 0.7)),
        span=span,
        wing_x=p["wing_x"] * length,
        wing_z=wing_z,
        root_chord=root,
        tip_chord=tip,
        sweep=p["sweep"],
        dihedral=p["dihedral"] * (0.3 if wing_z > 0.5 else 1.0),
        thickness=float(rng.uniform(0.05, 0.07) if kind == "fighter" else rng.uniform(0.1, 0.14)),
        kink=float(rng.uniform(0.3, 0.42)) if kind == "airliner" else 0.0,
        winglet=_draw_winglet(rng, kind) * span,
        tailplane=tailplane,
        tail_span=p["tail_span"] * span * (0.85 if cross_tail else 1.0),
        tail_chord=p["tail_chord"] * length,
        tail_taper=float(rng.uniform(0.35, 0.9 if small else 0.6)),
        tail_sweep=p["tail_sweep"],
        canard=delta and bool(rng.random() < 0.5),
        fins=fins,
        fin_height=p["fin"] * length * (0.8 if fins == 2 else 1.0),
        fin_chord=p["fin_chord"] * length * (0.85 if fins == 2 else 1.0),
        fin_taper=float(rng.uniform(0.6, 0.85) if tailplane == "T" else rng.uniform(0.3, 0.6)),
        fin_sweep=p["fin_sweep"],
        fin_cant=float(rng.uniform(0.0, 0.5)) if kind == "fighter" and fins == 2 else 0.0,
        engines=engines,
        engine_count=count,
        engine_size=float(engine_size),
        engine_length=float(engine_size * rng.uniform(3.0, 4.6)),
        propeller_blades=int(rng.integers(2, 5 if small else 7)),
        propeller_radius=float(blade),
        canopy=_draw_canopy(rng, kind, wing_z),
        gear=_draw_gear(rng, kind),
        gear_length=float(rng.uniform(0.8, 1.15)) * half_height,
        upper_wing=float(rng.uniform(0.19, 0.24)) * length if kind == "biplane" else 0.0,
        struts=kind == "propeller" and wing_z > 0.5 and bool(rng.random() < 0.8),
        stores=int(rng.integers(0, 4)) if kind == "fighter" else 0,
    )


def _draw_engines(rng: np.random.Generator, kind: str) -> tuple[str, int]:
    if kind == "airliner":
        place = "wing" if rng.random() < 0.8 else "tail"
        return place, int(rng.choice([2, 4], p=[0.7, 0.3])) if place == "wing" else 2
    if kind == "bizjet":
        return "tail", int(rng.choice([2, 3], p=[0.8, 0.2]))
    if kind == "turboprop":
        return "propellers", int(rng.choice([2, 4], p=[0.72, 0.28]))
    if kind == "propeller":
        return ("nose", 1) if rng.random() < 0.75 else ("propellers", 2)
    if kind == "biplane":
        return "nose", 1
    if kind == "fighter":
        return "inside", int(rng.choice([1, 2]))
    return "none", 0


def _draw_tailplane(rng: np.random.Generator, kind: str, engines: str) -> str:
    if kind in ("airliner", "bizjet") and engines == "tail":
        return str(rng.choice(["T", "cross"], p=[0.8, 0.2]))
    shares = {
        "turboprop": [0.4, 0.1, 0.5],
        "propeller": [0.8, 0.05, 0.15],
        "glider": [0.2, 0.05, 0.75],
    }.get(kind, [1.0, 0.0, 0.0])
    return str(rng.choice(["fuselage", "cross", "T"], p=shares))


def _draw_wing_height(rng: np.random.Generator, kind: str) -> float:
    high = {"airliner": 0.06, "turboprop": 0.65, "propeller": 0.5, "glider": 0.3}.get(kind, 0.0)
    if kind == "fighter":
        return float(rng.uniform(-0.4, 0.6))
    if kind == "glider":
        return float(rng.uniform(0.3, 0.8))
    return float(rng.uniform(0.82, 0.95) if rng.random() < high else rng.uniform(-0.8, -0.6))


def _draw_winglet(rng: np.random.Generator, kind: str) -> float:
    share = {"airliner": 0.55, "bizjet": 0.7, "glider": 0.5}.get(kind, 0.0)
    size = (0.008, 0.02) if kind == "glider" else (0.025, 0.055)
    return float(rng.uniform(*size)) if rng.random() < share else 0.0


def _draw_canopy(rng: np.random.Generator, kind: str, wing_z: float) -> str:
    if kind in ("airliner", "bizjet", "turboprop"):
        return "windscreen"
    if kind == "propeller":
        return "cabin" if wing_z > 0.0 or rng.random() < 0.5 else "bubble"
    return "bubble"


def _draw_gear(rng: np.random.Generator, kind: str) -> str:
    if kind == "biplane":
        return "tailwheel"
    if kind == "propeller":
        return str(rng.choice(["nosewheel", "tailwheel", "up"], p=[0.5, 0.3, 0.2]))
    return "nosewheel" if rng.random() < (0.0 if kind == "glider" else 0.4) else "up"


def draw_style(rng: np.random.Generator, shape: PlaneShape) -> PlaneStyle:
    """Random colours and markings that suit a shape."""
    kind = shape.kind
    military = kind == "fighter"
    white = {"glider": 0.9, "airliner": 0.65, "bizjet": 0.75, "turboprop": 0.6}.get(kind, 0.4)
    if military:
        gray = rng.uniform(0.3, 0.75) * rng.uniform(0.93, 1.04, 3)
        tan = rng.uniform(0.8, 1.1) * np.array([0.5, 0.5, 0.36])
        paint = gray if rng.random() < 0.65 else tan if rng.random() < 0.6 else draw_paint(rng)
    else:
        paint = rng.uniform(0.86, 0.98) * np.ones(3) if rng.random() < white else draw_paint(rng)
    second = 0.65 * paint if military and rng.random() < 0.6 else draw_second_paint(rng, paint)
    metal = rng.uniform(0.5, 0.8) * np.array([0.97, 0.98, 1.0])
    liveries = ["tail", "cheatline", "belly", "swoosh", "plain", "nose", "rings"]
    shares = [0.26, 0.22, 0.14, 0.16, 0.08, 0.07, 0.07]
    livery = str(rng.choice(liveries, p=shares))
    if military:
        livery = str(rng.choice(["camouflage", "belly", "plain", "nose"], p=[0.45, 0.3, 0.15, 0.1]))
    wing = paint if kind in ("glider", "propeller", "biplane", "fighter") else metal
    if kind == "biplane" and rng.random() < 0.5:
        wing = second
    return PlaneStyle(
        paint=paint,
        second_paint=second,
        third_paint=draw_second_paint(rng, paint),
        belly=np.full(3, rng.uniform(0.55, 0.8)) if not military else np.minimum(1.25 * paint, 0.9),
        wing=wing,
        engine=[paint, second, metal][int(rng.integers(3))],
        metal=metal,
        glass=np.array([0.06, 0.08, 0.1]) + rng.uniform(0.0, 0.22) * np.array([0.5, 0.8, 1.0]),
        livery=livery,
        tail_painted=bool(rng.random() < (0.2 if military else 0.75)),
        tail_logo=str(rng.choice(["none", "disc", "bars", "diagonal", "letter"])),
        titles=bool(kind in ("airliner", "turboprop", "bizjet") and rng.random() < 0.65),
        registration=bool(rng.random() < 0.8),
        roundels=bool(military and rng.random() < 0.7),
        window_rows=2 if kind == "airliner" and shape.length > 55 and rng.random() < 0.3 else 1,
        window_pitch=float(rng.uniform(0.5, 0.8) if kind == "airliner" else rng.uniform(0.8, 1.3)),
        wing_tips_painted=bool(rng.random() < 0.35),
        wing_stripes=bool(rng.random() < (0.4 if kind in ("propeller", "biplane") else 0.1)),
    )
