"""Where results came from, without where that lay."""

from __future__ import annotations

import json

import onnx
import pytest

from kp3d_core.inference import load_model, shipped_models
from kp3d_core.inference.model_metadata import METADATA_KEY
from kp3d_core.provenance import placeless, provenance


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/data/car/val", "val"),
        ("/home/me/my data/car", "car"),
        ("~/runs/car.ckpt", "car.ckpt"),
        ("--data=/srv/a/b.onnx", "--data=b.onnx"),
        ("main.py export /srv/a.ckpt -o /srv/out/a.onnx", "main.py export a.ckpt -o a.onnx"),
        ("[/srv/a, '/srv/b']", "[a, 'b']"),
        ("data/car/val", "data/car/val"),  # the same on every machine that follows the recipe
        ("https://example.org/models/car", "https://example.org/models/car"),
        ("median / p90, 1/2 and N/A", "median / p90, 1/2 and N/A"),
    ],
)
def test_places_become_names(text: str, expected: str) -> None:
    assert placeless(text) == expected


def test_all_content_is_searched() -> None:
    content = {"a": ["/x/y", {"b": ("/x/z", 1.5, None, True)}]}

    assert placeless(content) == {"a": ["y", {"b": ["z", 1.5, None, True]}]}


def test_command_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["/opt/venv/bin/kp3d", "package", "/home/me/last.ckpt", "--data", "data/car/val"]
    monkeypatch.setattr("sys.argv", arguments)

    assert provenance()["command"] == "kp3d package last.ckpt --data data/car/val"


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_files_name_no_folder_of_the_machine_that_made_them(name: str) -> None:
    model = load_model(name)

    for file in (model, model.int8):
        assert file is not None
        entries = onnx.load_from_string(file.data).metadata_props
        (metadata,) = (json.loads(entry.value) for entry in entries if entry.key == METADATA_KEY)
        assert placeless(metadata) == metadata
