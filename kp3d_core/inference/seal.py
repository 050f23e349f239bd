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
_LENGTH = len(_HEAD) + 64


def seal(data: bytes) -> bytes:
    """The file with a seal at its end; an old seal there is replaced."""
    body = data[:-_LENGTH] if _is_sealed(data) else data
    return body + _HEAD + hashlib.sha256(body).hexdigest().encode()


def check_seal(data: bytes) -> tuple[str, bool]:
    """Digest of a whole file, and whether it has a seal.

    Returns:
        Hexadecimal SHA-256 of all of `data`, and whether a seal, which then is right, ends it.

    Raises:
        ValueError: the seal is not that of the bytes before it.
    """
    if not _is_sealed(data):
        return hashlib.sha256(data).hexdigest(), False
    content = memoryview(data)
    digest = hashlib.sha256(content[:-_LENGTH])
    if data[-64:] != digest.hexdigest().encode():
        raise ValueError(
            f"it is damaged: its bytes have the SHA-256 {digest.hexdigest()[:12]}..., sealed was "
            f"{data[-64:-52].decode(errors='replace')}... Copy or export it again."
        )
    digest.update(content[-_LENGTH:])  # one pass serves both digests
    return digest.hexdigest(), True


def _is_sealed(data: bytes) -> bool:
    return data[-_LENGTH:-64] == _HEAD
