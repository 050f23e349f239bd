"""The seal of a model file: a digest at its end, by which damage to any byte of it is noticed.

Messages of protobuf, such as ONNX files, may be cut into pieces and written one after the other.
The seal is such a piece: one more entry of the metadata, which every reader of ONNX understands,
with the SHA-256 of all bytes before it. It guards against damage, not against those who seal anew.
"""

from __future__ import annotations

import hashlib

SEAL_KEY = "kp3d_sha256"
_ENTRY = b"\x0a" + bytes([len(SEAL_KEY)]) + SEAL_KEY.encode() + b"\x12\x40"
"""StringStringEntryProto: key = 1, then value = 2 with the 64 digits of the digest."""
_HEAD = b"\x72" + bytes([len(_ENTRY) + 64]) + _ENTRY
"""ModelProto: metadata_props = 14, see onnx.proto of ONNX."""


def seal(data: bytes) -> bytes:
    """The file with a seal at its end."""
    return data + _HEAD + hashlib.sha256(data).hexdigest().encode()


def check_seal(data: bytes) -> None:
    """Raise a `ValueError` unless the file ends with the seal of the bytes before it."""
    body = data[: -len(_HEAD) - 64]
    if seal(body) != data:
        raise ValueError(
            "it is damaged, cut short, or no model of kp3d: it must end with the SHA-256 of its "
            "bytes. Copy or export it again."
        )
