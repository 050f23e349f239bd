"""Damaged model files: every flipped bit and every cut is noticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import metadata, write_tiny_model

from kp3d_core.inference import load_model, model_file, shipped_models
from kp3d_core.inference.seal import SEAL_KEY, check_seal, seal

REFUSED = "(?s)m.onnx.*(([Ee]xport|Save) (it|the model) again|was copied whole)"


def refuse(folder: Path, data: bytes) -> None:
    file = folder / "m.onnx"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=REFUSED):
        load_model(file)


def test_seal_is_metadata_that_readers_of_onnx_understand(tiny_path):
    proto = onnx.load(str(tiny_path))
    onnx.checker.check_model(proto)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    body = tiny_path.read_bytes().removesuffix(entries[SEAL_KEY].encode())[: -len(SEAL_KEY) - 6]
    assert entries[SEAL_KEY] == hashlib.sha256(body).hexdigest()
    assert json.loads(entries["kp3d"]) == metadata()


def test_bytes_without_their_seal_are_refused():
    data = seal(b"a model")
    check_seal(data)
    for wrong in (b"a model", b"", b"A" + data[1:], data[:-1], data + b"0", data[1:]):
        with pytest.raises(ValueError, match="it is damaged, cut short, or no .* SHA-256 .* Copy"):
            check_seal(wrong)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draws=st.data())
def test_flipped_bits_are_noticed(tiny_path, tmp_path, draws):
    data = bytearray(tiny_path.read_bytes())
    # Most of the file is constants; half of the flips go into what describes it and the seal.
    place = st.one_of(st.integers(0, len(data) - 1), st.integers(len(data) - 300, len(data) - 1))
    for position in draws.draw(st.lists(place, min_size=1, max_size=3, unique=True)):
        data[position] ^= 1 << draws.draw(st.integers(0, 7))
    refuse(tmp_path, bytes(data))


def test_every_bit_of_the_seal_counts(tiny_path, tmp_path):
    data = tiny_path.read_bytes()
    for position in range(len(data) - 64 - len(SEAL_KEY) - 8, len(data)):
        for bit in range(8):
            flipped = data[position] ^ 1 << bit
            refuse(tmp_path, data[:position] + bytes([flipped]) + data[position + 1 :])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draws=st.data())
def test_cut_files_are_noticed(tiny_path, tmp_path, draws):
    data = tiny_path.read_bytes()
    length = st.one_of(st.integers(0, len(data) - 1), st.integers(len(data) - 200, len(data) - 1))
    refuse(tmp_path, data[: draws.draw(length)])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.binary(min_size=1, max_size=200))
def test_appended_bytes_are_noticed(tiny_path, tmp_path, tail):
    refuse(tmp_path, tiny_path.read_bytes() + tail)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.text()),
    lambda values: st.one_of(st.lists(values), st.dictionaries(st.text(), values)),
    max_leaves=10,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draws=st.data())
def test_sealed_nonsense_is_refused_or_read(tmp_path, draws):
    """A seal proves no sense: whatever the metadata say, the answer is a model or an error."""
    content: dict[str, Any] = metadata()
    entry = content
    key = draws.draw(st.sampled_from(sorted(entry)))
    while isinstance(entry[key], dict) and entry[key] and draws.draw(st.booleans()):
        entry = entry[key]
        key = draws.draw(st.sampled_from(sorted(entry)))
    entry[key] = draws.draw(JSON)
    file = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content)
    with contextlib.suppress(ValueError):
        model = load_model(file)
        assert np.isfinite(model.keypoints.canonical).all()
        assert 0 < model.training_camera.distance < math.inf


def test_shipped_models_are_protected(tmp_path, monkeypatch):
    """Sealed or not: a flipped bit of their weights is noticed."""
    models = {name: load_model(name).data for name in shipped_models()}
    monkeypatch.setattr(model_file.resources, "files", lambda package: tmp_path)
    for name, data in models.items():
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        (tmp_path / f"{name}.onnx").write_bytes(flipped)
        with pytest.raises(ValueError, match=f"{name} .shipped. cannot be used: it is damaged"):
            load_model(name)
        (tmp_path / f"{name}.onnx").write_bytes(data)
        assert load_model(name).data == data
