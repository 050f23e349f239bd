"""Ablations end to end, tiny, and the files that say what each leaves out."""

import json
from functools import partial
from pathlib import Path

import cv2
import pytest
import yaml

from kp3d_core.reproduce.ablations import VARIANTS, write_report

CONFIGS = Path(__file__).parents[3] / "config" / "train"


def test_report_of_two_variants(tiny_table, tiny_experiment):
    runner = tiny_experiment("ablations", VARIANTS)
    names = ["baseline", "no_silhouette"]
    runner.run(["plane"], names, partial(write_report, runner))
    content = json.loads((runner.output / "ablations.json").read_text())
    rows = content["variants"]["plane"]
    assert list(rows) == ["baseline", "no_silhouette"]
    for figures in rows.values():
        assert 0 <= figures["inside"] <= 1
        assert figures["consistency_px"] > 0
        assert figures["steps"] == 3
    # Same seed, same data: the baseline is row d of the table, and the other has left it.
    table = json.loads((tiny_table.output / "table1.json").read_text())["rows"]["plane"]
    assert rows["baseline"] == table["ours"]
    assert rows["no_silhouette"]["rotation_deg"] != rows["baseline"]["rotation_deg"]
    text = (runner.output / "ablations.md").read_text()
    assert "| no silhouette loss | `silhouette` = 0 |" in text
    sheet = cv2.imread(str(runner.output / "figure6_plane.png"))
    # 2 test planes x 4 views of 32 px, three times enlarged; two rows, each with a label of 24 px
    assert sheet.shape == (2 * (24 + 96), 8 * 96, 3)


def test_files_zero_what_the_report_says():
    given = {}
    for row in VARIANTS[1:]:
        model = yaml.safe_load((CONFIGS / row.configs[-1]).read_text())["model"]
        given[row.name] = {**model["weights"], **model.get("schedule", {})}
    ours = yaml.safe_load((CONFIGS / "table1/ours.yaml").read_text())["model"]
    assert given == {
        "twice_noise": {
            "pose_noise": 2 * ours["weights"]["pose_noise"],
            "initial_pose_noise": 2 * ours["schedule"]["initial_pose_noise"],
        },
        "no_noise": {"pose_noise": 0, "initial_pose_noise": 0},
        "no_pose": {"pose": 0, "initial_pose": 0},
        "no_silhouette": {"silhouette": 0},
        "no_consistency": {"consistency": 0, "object_consistency": 0},
    }


def test_unknown_variants_are_named(tiny_experiment):
    with pytest.raises(ValueError, match="variant must be one of baseline, .*, got no_sense"):
        tiny_experiment("nonsense", VARIANTS).run(["plane"], ["no_sense"], lambda: None)
