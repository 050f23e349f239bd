"""Files in, images out; what cannot be read is named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kp3d_core.offline.sources import find_files, frame_count, read_frames


@pytest.fixture
def folder(tmp_path):
    image = np.zeros((8, 12, 3), np.uint8)
    image[:, :, 2] = 255  # OpenCV's order: red
    for name in ("b.png", "a.jpg", ".hidden.png"):
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "notes.txt").write_text("not an image")
    writer = cv2.VideoWriter(
        str(tmp_path / "c.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (12, 8)
    )
    for _ in range(3):
        writer.write(image)
    writer.release()
    return tmp_path


def test_a_folder_gives_its_images_and_videos_by_name(folder):
    assert [path.name for path in find_files([folder])] == ["a.jpg", "b.png", "c.avi"]
    assert [path.name for path in find_files([folder / "b.png"])] == ["b.png"]


def test_images_are_rgb(folder):
    (frame,) = read_frames(folder / "b.png")
    assert frame.image.shape == (8, 12, 3)
    assert frame.image[0, 0].tolist() == [255, 0, 0]


def test_frames_of_a_video_carry_their_time(folder):
    frames = list(read_frames(folder / "c.avi"))
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    assert frame_count(folder / "c.avi") == 3
    assert frame_count(folder / "b.png") == 1


def test_all_wrong_paths_are_told_at_once(folder):
    (folder / "empty").mkdir()
    paths = [folder / "empty", folder / "gone.png", folder / "notes.txt"]
    message = "empty holds no image or video; .*gone.png is not there; .*notes.txt has an unknown"
    with pytest.raises(ValueError, match=message):
        find_files(paths)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nrubbish", b"GIF89a"])
def test_a_damaged_image_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.png cannot be decoded as an image"):
        list(read_frames(path))


def test_a_damaged_video_is_named(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    with pytest.raises(ValueError, match=r"broken\.mp4 cannot be decoded as a video"):
        list(read_frames(path))


def test_an_image_that_is_a_decompression_bomb_is_refused(tmp_path):
    # A PNG header that announces 60,000 x 60,000 pixels: 10 GB if it were believed.
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    png += struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IEND"
    path = tmp_path / "bomb.png"
    path.write_bytes(png)
    with pytest.raises(ValueError, match=r"bomb\.png cannot be (read|decoded)"):
        list(read_frames(path))
