"""TFRecord files without TensorFlow: framing with checked CRCs, and the features of each example.

A record is its length (uint64), the length's masked CRC-32C, the data, and their masked CRC-32C,
all little-endian. The data are a protocol buffer `tensorflow.Example`. Nothing is allocated for a
length that is not checked and bounded.

Reference: TensorFlow, "TFRecord and tf.train.Example"; `tensorflow/core/example/feature.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_RECORD_BYTES = 4 << 20
"""Two PNG images of the largest size that is read, and two dozen numbers, are smaller."""
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
Features = dict[str, "bytes | NDArray[np.float32]"]


def masked_crc(content: bytes) -> int:
    """CRC-32C of some bytes as TFRecord files store it."""
    import google_crc32c

    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def count_records(path: Path) -> int:
    """Number of records of a file; only their headers are read and checked.

    Raises:
        ValueError: the file is damaged.
    """
    count, end = 0, path.stat().st_size
    with path.open("rb") as stream:
        while (length := _read_length(stream, path, count)) is not None:
            count += 1
            if stream.seek(length + _FOOTER.size, 1) > end:
                raise _damaged(path, count - 1, "it ends within the record")
    return count


def read_examples(path: Path, first: int = 0) -> Iterator[Features]:
    """Yield the features of the records of a file: bytes, or float32 arrays, by name.

    Args:
        path: an uncompressed TFRecord file.
        first: records to leave out at the beginning; their data are not checked.

    Raises:
        ValueError: a record is damaged, too large, or no example.
    """
    with path.open("rb") as stream:
        for number in range(first):
            stream.seek((_read_length(stream, path, number) or 0) + _FOOTER.size, 1)
        number = first
        while (length := _read_length(stream, path, number)) is not None:
            content, footer = stream.read(length), stream.read(_FOOTER.size)
            if len(content) < length or len(footer) < _FOOTER.size:
                raise _damaged(path, number, "it ends within the record")
            if _FOOTER.unpack(footer)[0] != masked_crc(content):
                raise _damaged(path, number, "its CRC does not match")
            yield _features(content, path, number)
            number += 1


def _read_length(stream: BinaryIO, path: Path, number: int) -> int | None:
    """Length of the next record; None at the end of the file."""
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise _damaged(path, number, "it ends within the record")
    length, crc = _HEADER.unpack(header)
    if crc != masked_crc(header[:8]):
        raise _damaged(path, number, "the CRC of its length does not match")
    if length > MAX_RECORD_BYTES:
        raise _damaged(path, number, f"it has {length:,} bytes, over {MAX_RECORD_BYTES:,}")
    return int(length)


def _features(content: bytes, path: Path, number: int) -> Features:
    from google.protobuf.message import DecodeError

    example = _example_class()()
    try:
        example.ParseFromString(content)
    except DecodeError as error:
        raise _damaged(path, number, "its data are no tensorflow.Example") from error
    features: Features = {}
    for entry in example.features.feature:
        values = entry.value
        if len(values.bytes_list.value) == 1:
            features[entry.key] = values.bytes_list.value[0]
        elif len(values.float_list.value):
            features[entry.key] = np.array(values.float_list.value, np.float32)
    return features


def _damaged(path: Path, number: int, reason: str) -> ValueError:
    return ValueError(
        f"{path} must be a TFRecord file as TensorFlow writes it, uncompressed, got a damaged "
        f"record {number}: {reason}. Fetch the file again."
    )


@cache
def _example_class() -> Any:
    """The message `tensorflow.Example`, as far as it is read.

    A map of a protocol buffer is, in bytes, a list of pairs of key and value; it is read as one.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {"bytes": 12, "float": 2, "string": 9}
    messages = {
        "BytesList": [("value", "bytes", True)],
        "FloatList": [("value", "float", True)],
        "Feature": [("bytes_list", "BytesList", False), ("float_list", "FloatList", False)],
        "Entry": [("key", "string", False), ("value", "Feature", False)],
        "Features": [("feature", "Entry", True)],
        "Example": [("features", "Features", False)],
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="kp3d_example.proto", package="kp3d", syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, repeated) in enumerate(fields, start=1):
            of_message = {} if kind in kinds else {"type_name": f".kp3d.{kind}"}
            message.field.add(
                name=field,
                number=number,
                label=3 if repeated else 1,
                type=kinds.get(kind, 11),
                **of_message,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kp3d.Example"))
