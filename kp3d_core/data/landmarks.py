"""Named landmarks of a category: which of them change places when an object is mirrored."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

_SIDES = {"left": "right", "right": "left"}


def mirror_partners(names: Sequence[str]) -> list[int]:
    """Index of the landmark that takes the place of each one on the mirrored object.

    Left and right are told by the names: `left_front_wheel` changes places with
    `right_front_wheel`, a name without a side keeps its place.

    Raises:
        ValueError: a name with a side whose partner is missing.
    """
    partners = [re.sub("left|right", lambda side: _SIDES[side[0]], name) for name in names]
    alone = [name for name, partner in zip(names, partners, strict=True) if partner not in names]
    if alone:
        raise ValueError(
            "Each landmark of a side must have a partner on the other one, got none for "
            f"{', '.join(alone)}. Name it, or train with augmentation.mirror_probability=0."
        )
    return [list(names).index(partner) for partner in partners]


def mirror_landmarks(
    landmarks: Float[Tensor, "*batch N 3"], partners: Sequence[int]
) -> Float[Tensor, "*batch N 3"]:
    """Landmarks of the object mirrored left to right (y to -y), in the order of their names.

    What was the left front wheel is the mirrored object's right one. A landmark without a side is
    taken to lie on the symmetry plane, or to move with its mirror image: on the few planes with two
    fins, whose `fin_top` is the left one's, it is the right one's after mirroring.
    """
    return landmarks[..., list(partners), :] * landmarks.new_tensor([1.0, -1.0, 1.0])
