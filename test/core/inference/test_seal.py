"""Damaged model files: every flipped bit and every cut is noticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import metadata, write_tiny_model

from kp3d_core.inference import create_engine, load_model, model_file, shipped_models
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


def test_seal_is_right_and_replaced_by_another():
    data = seal(b"a model")
    assert check_seal(data) == (hashlib.sha256(data).hexdigest(), True)
    assert check_seal(b"a model") == (hashlib.sha256(b"a model").hexdigest(), False)
    assert seal(data) == data
    with pytest.raises(ValueError, match="it is damaged: .* SHA-256 .* sealed was .* Copy or"):
        check_seal(b"A" + data[1:])


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


def test_unsealed_files_of_before_seals_load_with_a_warning(tiny_path, tmp_path, caplog):
    older = _unsealed(tmp_path, format_version=1)
    with caplog.at_level(logging.WARNING):
        found = load_model(older)
    assert "m.onnx is older than seals: damage to it goes unnoticed. Export it" in caplog.text
    image = np.full((1, 128, 128, 3), 99, np.uint8)
    for name, values in create_engine(load_model(tiny_path)).run(image).items():
        assert np.array_equal(create_engine(found).run(image)[name], values)


def test_unsealed_files_of_later_versions_are_refused(tmp_path):
    file = _unsealed(tmp_path, format_version=2)
    with pytest.raises(ValueError, match="damaged or cut short: it must end with the SHA-256"):
        load_model(file)


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


def _unsealed(folder: Path, format_version: int) -> Path:
    content = metadata() | {"format_version": format_version}
    sealed = write_tiny_model(folder / "m.onnx", kp3d_metadata=content).read_bytes()
    data = sealed[: -64 - len(SEAL_KEY) - 6]
    assert not check_seal(data)[1]
    sealed_again = seal(data)
    assert sealed_again == sealed
    (folder / "m.onnx").write_bytes(data)
    return folder / "m.onnx"
