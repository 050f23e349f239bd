"""Which labels a folder of photographs has: `truth_kp3d.json`, or a data set's own."""

from __future__ import annotations

from pathlib import Path

from kp3d_core.evaluation.photographs.bop import is_bop, read_bop
from kp3d_core.evaluation.photographs.kitti import is_kitti, read_kitti
from kp3d_core.evaluation.photographs.pascal3d import is_pascal3d, read_pascal3d
from kp3d_core.evaluation.photographs.truth import LabelledPhotograph, read_truth, truth_file

_READERS = ((is_kitti, read_kitti), (is_pascal3d, read_pascal3d), (is_bop, read_bop))


def has_labels(data: Path) -> bool:
    """Whether a path names labelled photographs."""
    return truth_file(data) is not None or any(is_one(data) for is_one, _ in _READERS)


def read_labelled(data: Path) -> list[LabelledPhotograph]:
    """Read labelled photographs; `truth_kp3d.json` first, where there are both.

    Raises:
        ValueError: no labels, or labels that cannot be used.
    """
    truth = truth_file(data)
    if truth is not None:
        return read_truth(truth)
    for is_one, read in _READERS:
        if is_one(data):
            return read(data)
    raise ValueError(
        f"{data} must hold truth_kp3d.json, or KITTI's folders image_2, calib and label_2, those "
        "of PASCAL3D+, Annotations, Images and CAD, or a BOP scene with scene_gt.json, got none "
        "of these."
    )
