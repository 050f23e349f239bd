"""A folder of photographs: every usable file, the middle square, broken files named."""

import numpy as np
import pytest
from PIL import Image

from kp3d_core.data.photographs import read_photographs


def write(path, width, height, color=(10, 200, 30)):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((height, width, 3), color, np.uint8)).save(path)


def test_pictures_of_all_folders_and_shapes_become_squares(tmp_path):
    write(tmp_path / "wide.jpg", 300, 100)
    write(tmp_path / "deep" / "tall.png", 80, 240, (250, 0, 0))
    found = read_photographs(tmp_path, 48)
    assert found.images.shape == (2, 3, 48, 48)
    assert found.images.dtype == np.uint8
    assert found.skipped == ()
    assert found.images[0].mean((1, 2)) == pytest.approx([250, 0, 0])  # deep/ comes before wide
    assert found.images[1].mean((1, 2)) == pytest.approx([10, 200, 30], abs=3)


def test_the_middle_is_taken_undistorted(tmp_path):
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert read_photographs(tmp_path, 64).images.min() == 255


def test_files_that_are_no_pictures_are_named(tmp_path):
    write(tmp_path / "good.jpg", 100, 100)
    (tmp_path / "text.jpg").write_text("no picture")
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "icon.png", 32, 32)
    (tmp_path / "notes.txt").write_text("is not looked at")
    found = read_photographs(tmp_path, 32)
    assert len(found.images) == 1
    reasons = {file.name: reason for file, reason in found.skipped}
    assert set(reasons) == {"text.jpg", "half.jpg", "icon.png"}
    assert reasons["text.jpg"] == "no picture"
    assert "truncated" in reasons["half.jpg"].lower()
    assert "32 x 32 px" in reasons["icon.png"]


def test_large_pictures_are_not_decoded(tmp_path, monkeypatch):
    write(tmp_path / "good.jpg", 100, 100)
    write(tmp_path / "huge.png", 400, 300)
    monkeypatch.setattr("kp3d_core.data.photographs.MAX_PIXELS", 100_000)
    ((file, reason),) = read_photographs(tmp_path, 32).skipped
    assert file.name == "huge.png"
    assert "over 100,000" in reason


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(ValueError, match="backgrounds must hold photographs .* got 0 such files"):
        read_photographs(tmp_path, 32)
    with pytest.raises(ValueError, match="backgrounds must be a folder of photographs, got"):
        read_photographs(tmp_path / "none", 32)
