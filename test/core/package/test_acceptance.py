"""Acceptance is fitted to encounters and keeps its promise on others."""

import numpy as np
import pytest

from kp3d_core.data.memory import load_views
from kp3d_core.inference.acceptance import Evidence
from kp3d_core.package.acceptance import (
    Judged,
    figures,
    fit_acceptance,
    reliability,
    risk_table,
    upper_bound,
)
from kp3d_core.package.encounters import (
    Mix,
    before_pictures,
    encounters,
    pictures_for,
    procedural_pictures,
)


def made_up(seed, count=4000):
    """Results that are wrong more often the larger the residual; one of ten is no object."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        residual = rng.uniform(0.05, 0.4)
        is_object = bool(rng.random() < 0.9)
        wrong = not is_object or bool(rng.random() < 1 / (1 + np.exp(-40 * (residual - 0.25))))
        odds = rng.exponential(2.0)
        # Overconfident: the log odds are twice as large as they should be.
        flag = is_object and bool(rng.random() < 1 / (1 + np.exp(-0.5 * odds)))
        rows.append(
            Judged(
                Evidence(residual + 0.2 * (not is_object), 0.1, 1.0), is_object,
                180.0 if wrong else 5.0, flag, 1 / (1 + np.exp(-odds)), True, str(n % 20),
            )
        )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def fitted():
    return fit_acceptance(made_up(0))


@pytest.mark.parametrize("max_wrong", [0.02, 0.05, 0.1])
def test_wrong_ones_stay_under_what_was_asked_on_other_encounters(fitted, max_wrong):
    limit = fitted.limit(max_wrong)
    fresh = made_up(1)
    accepted = [r for r in fresh if fitted.wrong_probability(r.evidence) <= limit.probability]
    wrong = np.mean([r.wrong for r in accepted])
    assert wrong <= max_wrong + 0.01  # what 4,000 samples tell
    share = np.mean([r in accepted for r in fresh if r.is_object])
    assert share == pytest.approx(limit.accepted, abs=0.05)
    assert share > 0.25  # not by refusing everything


def test_more_risk_accepts_more(fitted):
    shares = [fitted.limit(asked).accepted for asked in (0.01, 0.02, 0.05, 0.1, 0.3)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_front_and_back_are_calibrated(fitted):
    assert fitted.orientation_slope == pytest.approx(0.5, rel=0.15)
    measured = figures(made_up(1), fitted)
    assert measured["orientation"]["ece"] < 0.05
    assert measured["wrong_probability"]["ece"] < 0.05
    assert measured["wrong_among_accepted"] <= 0.06
    raw = reliability(
        np.array([r.orientation_score for r in made_up(1) if r.is_object]),
        np.array([r.flag_correct for r in made_up(1) if r.is_object]),
    )
    assert raw["ece"] > 0.05  # what the slope is for


@pytest.mark.parametrize(
    ("wrong", "count", "bound"), [(0, 10, 0.2057), (5, 100, 0.0908), (3, 3, 1)]
)
def test_bound_is_that_of_the_binomial_law(wrong, count, bound):
    # Clopper-Pearson: the 90 % quantile of Beta(wrong + 1, count - wrong)
    assert upper_bound(wrong, count) == pytest.approx(bound, abs=1e-3)


def test_few_encounters_promise_little():
    nothing = np.zeros(5, bool)
    (*_, last) = risk_table(np.linspace(0, 1, 5), nothing, ~nothing, 5)
    assert last.wrong > 0.3  # five right ones in a row prove no 5 %
    assert risk_table(np.zeros(0), nothing[:0], nothing[:0], 5)[-1].wrong == 1


def test_encounters_tell_the_truth(rendered_cars):
    views = load_views(rendered_cars / "val", 64)
    pictures = procedural_pictures("car", 64)
    met = list(encounters(views, pictures, 24, "val", Mix(empty=0.2, others=0.2)))
    again = encounters(views, pictures, 24, "val", Mix(empty=0.2, others=0.2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(met, again, strict=True))
    objects = [e for e in met if e.T_camera_object is not None]
    assert 8 < len(objects) < 22
    inside = 0
    for encounter in objects:
        uv = encounter.camera.project(encounter.T_camera_object[None, :3, 3])[0]
        box, size = encounter.region, np.array([encounter.region.width, encounter.region.height])
        inside += bool((np.abs(uv - [box.x, box.y] - size / 2) < size / 2 + 3).all())
        assert encounter.image.shape[:2] == (encounter.camera.height, encounter.camera.width)
        assert box.x >= -0.5
        assert box.x + box.width <= encounter.camera.width - 0.5 + 1e-9
    assert inside >= 0.9 * len(objects)


def test_views_before_pictures_keep_their_silhouettes(rendered_cars):
    views = load_views(rendered_cars / "val", 64)
    pictures = procedural_pictures("car", 64)
    changed = before_pictures(views, pictures, 0.5)
    assert np.array_equal(changed.rgba[..., 3], views.rgba[..., 3])
    same = (changed.rgba == views.rgba).all(axis=(2, 3, 4))
    assert 2 < same.sum() < 16  # of 18
    assert np.array_equal(before_pictures(views, pictures, 0.0).rgba, views.rgba)


def test_photographs_are_halved(tmp_path):
    import cv2

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((80, 80, 3), 60 * number, np.uint8))
    first, second = (pictures_for(tmp_path, "car", 64, part) for part in (0, 1))
    assert (len(first), len(second)) == (2, 1)
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").unlink()
    with pytest.raises(ValueError, match="must hold at least 2 photographs"):
        pictures_for(tmp_path, "car", 64, 0)


def test_evidence_that_hardly_varies_gets_no_weight_that_a_file_refuses():
    # As of a model of four steps: scores differ in their fifth digit, and by it is all explained.
    rng = np.random.default_rng(0)
    rows = []
    for n in range(60):
        wrong = bool(rng.random() < 0.5)
        evidence = Evidence(0.2, 0.98 + 1e-5 * wrong, 0.1)
        error_deg = 180.0 if wrong else 5.0
        rows.append(Judged(evidence, True, error_deg, not wrong, 0.5, True, str(n % 20)))
    fitted = fit_acceptance(rows)
    assert np.abs([fitted.offset, *fitted.weights]).max() < 1e4
