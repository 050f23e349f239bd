"""The paper's own figures, on ShapeNet: shown beside ours, not comparable one to one.

Reference: Suwajanakorn, Snavely, Tompson, Norouzi, "Discovery of Latent 3D Keypoints via
End-to-end Geometric Reasoning", NeurIPS 2018, Table 1.
"""

from __future__ import annotations

from typing import NamedTuple


class PaperFigures(NamedTuple):
    """One cell block of Table 1."""

    mean_deg: float
    median_deg: float
    spread_3d: float
    """The paper's 3D-SE, which it does not define."""


TABLE1: dict[str, dict[str, PaperFigures]] = {
    "car": {
        "supervised": PaperFigures(16.268, 5.583, 0.240),
        "supervised_onet": PaperFigures(13.961, 4.475, 0.197),
        "ours_onet": PaperFigures(13.500, 4.418, 0.165),
        "ours": PaperFigures(11.310, 3.372, 0.171),
    },
    "plane": {
        "supervised": PaperFigures(18.350, 7.168, 0.233),
        "supervised_onet": PaperFigures(17.800, 6.802, 0.230),
        "ours_onet": PaperFigures(18.561, 6.407, 0.223),
        "ours": PaperFigures(17.330, 5.721, 0.230),
    },
    "chair": {
        "supervised": PaperFigures(21.882, 8.771, 0.269),
        "supervised_onet": PaperFigures(20.502, 8.261, 0.248),
        "ours_onet": PaperFigures(14.238, 5.607, 0.203),
        "ours": PaperFigures(14.572, 5.420, 0.196),
    },
}
"""By category and by row of the table here."""

CATEGORIES = tuple(TABLE1)
"""The paper's categories."""
