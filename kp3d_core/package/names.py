"""Names for keypoints that nobody named: from earlier names, named parts, and where they sit.

Keypoints are discovered, and each training finds its own. A name that says where one sits is of
more use than a number, and means the same place after the next training where places agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TOLERANCE = 0.15
"""Distance from an earlier keypoint under which one is taken for the same [model units]."""
NEAR = 0.2
"""Mean distance from a named part under which a keypoint takes its name [model units]."""
_PLACES = (("rear", "middle", "front"), ("right", "centre", "left"), ("low", "mid", "high"))
"""Of each axis: its negative, middle and positive third."""
_ORDER = (("aft", "fore"), ("inner", "outer"), ("lower", "upper"))
"""Of two with one name, along each axis."""
_SIDES = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class _Pair:
    """A keypoint and, if it has one, its twin on the other side."""

    left: int
    right: int | None

    def names(self, base: str) -> dict[int, str]:
        """Of both, from a name of the left one."""
        if self.right is None:
            return {self.left: base}
        base = base if _has_side(base) else f"{base}_left"
        return {self.left: base, self.right: mirrored_name(base)}


def keypoint_names(
    canonical: FloatArray,
    *,
    twins: bool = False,
    parts: Mapping[str, FloatArray] | None = None,
    earlier: Mapping[str, Sequence[float]] | None = None,
) -> list[str]:
    """A name for each keypoint, all of them different.

    Args:
        canonical: places on the mean object, (N, 3) [model units].
        twins: keypoint k + N/2 is the mirror image of keypoint k; so are their names then.
        parts: distance of each keypoint (N,) from named parts [model units]. The keypoint that is
            nearest to a part, and no nearer to another, takes its name within `NEAR`.
        earlier: names that are known already, with their places (3,) [model units]. They are given
            first, to the keypoints that are nearest to them, within `TOLERANCE`.
    """
    kept = matched(canonical, earlier or {})
    pairs = _pairs(canonical, twins)
    for pair in pairs:  # what only one of two has is told of the other
        kept |= _completed(pair, kept)
    rest = [pair for pair in pairs if pair.left not in kept]
    bases = _bases(canonical, rest, parts or {})
    names = dict(kept)
    for base in dict.fromkeys(bases.values()):
        alike = [pair for pair in rest if bases[pair.left] == base]
        for pair, word in zip(alike, _words(canonical, alike), strict=True):
            names |= _free(pair, _with_word(base, word), set(names.values()))
    return [names[index] for index in range(len(canonical))]


def matched(canonical: FloatArray, earlier: Mapping[str, Sequence[float]]) -> dict[int, str]:
    """Earlier names by the keypoints that they belong to, together as near as can be."""
    from scipy.optimize import linear_sum_assignment

    if not earlier:
        return {}
    places = np.array(list(earlier.values()), np.float64).reshape(-1, 3)
    distance = np.linalg.norm(canonical[:, None] - places, axis=-1)
    names = list(earlier)
    rows, columns = linear_sum_assignment(np.minimum(distance, 2 * TOLERANCE))
    return {
        int(i): names[j] for i, j in zip(rows, columns, strict=True) if distance[i, j] <= TOLERANCE
    }


def is_place(value: object) -> bool:
    """Whether a value is three finite numbers."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(isinstance(x, int | float) and math.isfinite(x) for x in value)
    )


def mirrored_name(name: str) -> str:
    """Name of the same place on the other side."""
    return re.sub("left|right", lambda side: _SIDES[side[0]], name)


def _has_side(name: str) -> bool:
    return mirrored_name(name) != name


def _pairs(canonical: FloatArray, twins: bool) -> list[_Pair]:
    if not twins:
        return [_Pair(index, None) for index in range(len(canonical))]
    half = len(canonical) // 2
    ordered = [(k, k + half) if canonical[k, 1] >= canonical[k + half, 1] else (k + half, k)
               for k in range(half)]  # fmt: skip
    return [_Pair(*pair) for pair in ordered]


def _completed(pair: _Pair, kept: Mapping[int, str]) -> dict[int, str]:
    """The missing one of two names, if the other one is an earlier name of a side."""
    if pair.right is None or (pair.left in kept) == (pair.right in kept):
        return {}
    known, other = pair.left, pair.right
    if known not in kept:
        known, other = other, known
    base, taken = kept[known], set(kept.values())
    name = mirrored_name(base) if _has_side(base) else f"{base}_twin"
    return {other: name if name not in taken else _numbered(name, taken)}


def _bases(
    canonical: FloatArray, pairs: Sequence[_Pair], parts: Mapping[str, FloatArray]
) -> dict[int, str]:
    """What the left one of each pair would be called if there was no other like it."""
    extent = np.maximum(np.abs(canonical).max(axis=0), 1e-9)
    bases = {}
    for pair in pairs:
        thirds = 1 + np.sign(np.trunc(3 * canonical[pair.left] / extent)).astype(int)
        words = (axis[third] for axis, third in zip(_PLACES, thirds, strict=True))
        bases[pair.left] = "_".join(words)
    for pair in pairs:
        allowed = [n for n in parts if pair.right is None or "right" not in n]
        if not allowed:
            continue
        part = min(allowed, key=lambda name: float(parts[name][pair.left]))
        nearest = min(pairs, key=lambda other: float(parts[part][other.left]))
        if nearest is pair and parts[part][pair.left] <= NEAR:
            bases[pair.left] = part
    return bases


def _words(canonical: FloatArray, alike: Sequence[_Pair]) -> list[str]:
    """What tells pairs of one name apart: their order along the axis on which they differ most."""
    if len(alike) == 1:
        return [""]
    places = canonical[[pair.left for pair in alike]]
    places[:, 1] = np.abs(places[:, 1])
    axis = int(np.ptp(places, axis=0).argmax())
    ranks = places[:, axis].argsort(kind="stable").argsort(kind="stable")
    if len(alike) == 2:
        return [_ORDER[axis][rank] for rank in ranks]
    low, high = _ORDER[axis]
    words = [low, *(f"between_{k}" for k in range(1, len(alike) - 1)), high]
    words = [low, "between", high] if len(alike) == 3 else words
    return [words[rank] for rank in ranks]


def _with_word(base: str, word: str) -> str:
    return f"{base}_{word}" if word else base


def _free(pair: _Pair, base: str, taken: set[str]) -> dict[int, str]:
    """Names of a pair that nobody has yet."""
    number, names = 2, pair.names(base)
    while taken & set(names.values()):
        names, number = pair.names(f"{base}_{number}"), number + 1
    return names


def _numbered(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
