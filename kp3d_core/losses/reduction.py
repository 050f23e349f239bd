"""The two ways in which a loss over the two views of a pair is reduced.

`paper`: the published formulas, which average over the two views. `released`: what the authors'
code trained with, which sums over them (and normalises the separation loss by 2 N, diagonal
included). The published weights (1, 0.2, 1, 1) belong to `released`; the paper's formulas with
those weights are not the objective that gave the paper's results.

Reference: Suwajanakorn et al. 2018, section 3; tensorflow/models, research/keypointnet, main.py.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Reduction = Literal["paper", "released"]

VIEWS_OF_A_PAIR = 2


def reduce_views(per_view: Tensor, reduction: Reduction) -> Tensor:
    """Mean over all images (`paper`), or that times the two views of a pair (`released`).

    Args:
        per_view: one value per image, any shape.
        reduction: see the module.
    """
    mean = per_view.mean()
    return mean if reduction == "paper" else VIEWS_OF_A_PAIR * mean
