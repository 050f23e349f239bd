"""TFRecords of the authors' kind, made of rendered views: bytes by the specifications, by hand."""

from __future__ import annotations

import struct

import cv2
import numpy as np

S = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
"""Y up to z up: x stays, y becomes z, z becomes -y."""


def crc32c(content: bytes) -> int:
    """Bit by bit, reflected polynomial 0x82F63B78 (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(content: bytes, crc=crc32c) -> bytes:
    """A framed record."""
    length = struct.pack("<Q", len(content))
    head = length + struct.pack("<I", masked(crc(length)))
    return head + content + struct.pack("<I", masked(crc(content)))


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def example(features: dict) -> bytes:
    """A `tensorflow.Example`: bytes, or arrays as packed floats."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = _field(1, _field(1, value))
        else:
            feature = _field(2, _field(1, np.asarray(value, "<f4").tobytes()))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def modelview(T_camera_object, scale=1.0):
    """As the authors' script: inverse of the camera's place in Blender, times the turn of axes."""
    R, t = T_camera_object[:3, :3], T_camera_object[:3, 3]
    camera_world = np.eye(4)
    right, down, forward = R
    camera_world[:3, :3] = np.stack([right, -down, -forward], axis=1)
    camera_world[:3, 3] = -R.T @ t * scale
    return np.linalg.inv(camera_world) @ S


def png(rgba) -> bytes:
    """Of a premultiplied view: PNG files are not premultiplied."""
    alpha = np.maximum(rgba[..., 3:], 1) / 255.0
    straight = np.clip(np.round(rgba[..., :3] / alpha), 0, 255)
    bgra = np.dstack([straight[..., ::-1], rgba[..., 3]]).astype(np.uint8)
    return cv2.imencode(".png", bgra)[1].tobytes()


def pair(rgba, T, scale=1.0) -> dict:
    """Features of two views."""
    features = {}
    for k in (0, 1):
        M = modelview(T[k], scale)
        features[f"img{k}"] = png(rgba[k])
        features[f"mv{k}"], features[f"mvi{k}"] = M.ravel(), np.linalg.inv(M).ravel()
    return features


def write_folder(folder, records, objects, pairs, scale=1.0, focal=22.9037655484):
    """The text files of a folder, and `records`, bytes by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in records.items():
        (folder / f"{name}.tfrecord").write_bytes(content)
    P = np.array([[focal, 0, 0, 0], [0, focal, 0, 0], [0, 0, -1.002, -0.2], [0, 0, -1, 0]])
    np.savetxt(folder / "projection.txt", P)
    (folder / "dev.txt").write_text("0001\n")
    (folder / "test.txt").write_text("0002\n")
    args = f"--scale {scale}" if scale != 1 else ""
    rows = [f"{name},{k:032x},{pairs},{args}" for name in records for k in range(objects)]
    (folder / "job.txt").write_text("\n".join(["tfrecord,id,num,args", *rows]) + "\n")
