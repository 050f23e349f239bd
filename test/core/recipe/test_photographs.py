"""A recipe for photographs: pictures behind, meshes by others, network `lite`, to the int8 file."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from kp3d_core.data.generate import ProceduralSource, procedural_source
from kp3d_core.data.memory import load_views
from kp3d_core.data.procedural import make_instance
from kp3d_core.inference import load_model
from kp3d_core.objects.meshes.archive import save_mesh
from kp3d_core.recipe.build import Build
from kp3d_core.recipe.settings import read_recipe
from kp3d_core.recipe.stages import run_stages

TOY = Path(__file__).with_name("toy.yaml")


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    save_mesh(make_instance("car", 77).mesh, folder / "taxi.npz")
    entry = {"category": "car", "files": ["taxi.npz"], "split": "train", "source": "others"}
    entry["R_kp3d_from_file"] = np.eye(3).tolist()
    (folder / "meshes.yaml").write_text(yaml.safe_dump({"meshes": [entry]}))
    (folder / "pictures").mkdir()
    for name, color in (("green", (0, 180, 0)), ("blue", (0, 0, 180))):
        picture = np.full((80, 80, 3), color, np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{name}.png")
    content = yaml.safe_load(TOY.read_text()) | {"backgrounds": "pictures"}
    content["data"] |= {"meshes": "meshes.yaml", "mesh_share": 0.5}
    content["data"]["train"] |= {"camera": "eye_level", "light": "varied"}
    content["train"][0] |= {"presets": ["photographs"], "model": {"initial_weights": None}}
    content["package"] |= {"backgrounds": 0.5}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return folder / "recipe.yaml"


@pytest.mark.slow
def test_a_model_for_photographs_is_made(recipe_file, tmp_path):
    model = load_model(Build(read_recipe(recipe_file), tmp_path, accelerator="cpu").run())
    assert model.int8 is not None
    config, data = model.provenance["config"], model.provenance["data"]
    assert (config["network"], config["folded"], config["precision"]) == ("lite", True, "fp32")
    assert config["finetune"]["augmentation"]["sensor"]["probability"] == 0.8
    assert config["finetune"]["reframing"]["box_probability"] == 0.8
    assert data["backgrounds"].endswith("pictures")
    assert model.provenance["package"]["backgrounds"] == 0.5


def test_meshes_make_a_share_of_what_is_trained_on(recipe_file, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    run_stages(folder, Build(read_recipe(recipe_file), folder).data_stages())
    ours = {"sedan", "hatchback", "suv", "pickup", "van", "bus", "sports"}
    for name in ("train", "finetune"):
        kinds = set(load_views(folder / "data" / name, 16).kinds)
        assert "others:taxi" in kinds
        assert kinds & ours
    for name in ("val", "test"):
        assert set(load_views(folder / "data" / name, 16).kinds) <= ours
    manifest = json.loads((folder / "data" / "train" / "manifest.json").read_text())
    assert (manifest["light"], manifest["camera"]["eye_level_probability"]) == ("varied", 0.55)


def test_photographs_are_mirrored_by_what_stands_in_their_light(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file)
    train = dataclasses.replace(recipe.data.train, light="photographs", random_surfaces=0.2)
    lit = dataclasses.replace(
        recipe, data=dataclasses.replace(recipe.data, train=train, generator=2)
    )
    settings = lit.render_settings("train")
    assert (settings.reflections, settings.random_surfaces) == (recipe.backgrounds, 0.2)
    assert lit.render_settings("finetune").reflections == ""
    assert lit.objects.source("train").others == ProceduralSource(2)
    assert lit.objects.source("val") is procedural_source

    def key():
        return Build(lit, tmp_path).data_stages()[0].key

    first = key()
    extra = recipe_file.parent / "pictures" / "grey.png"
    Image.fromarray(np.full((80, 80, 3), 99, np.uint8)).save(extra)
    changed = key()
    extra.unlink()
    assert changed != first == key()
    with pytest.raises(ValueError, match="generator's version must be between 1 and 2, got 3"):
        dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, generator=3))


def test_other_pictures_or_weights_make_the_training_anew(recipe_file, tmp_path):
    recipe = read_recipe(recipe_file)

    def keys(changed):
        return {stage.name: stage.key for stage in Build(changed, tmp_path).stages()}

    first = keys(recipe)
    extra = recipe_file.parent / "pictures" / "grey.png"
    Image.fromarray(np.full((80, 80, 3), 99, np.uint8)).save(extra)
    changed = [name for name, key in keys(recipe).items() if key != first[name]]
    extra.unlink()
    assert changed == ["train_0", "finetune", "package", "robustness", "report"]
    assert keys(recipe) == first
    weights = tmp_path / "weights.safetensors"
    phase = dataclasses.replace(recipe.train[0], model={"initial_weights": str(weights)})
    started = dataclasses.replace(recipe, train=(phase,))
    weights.write_bytes(b"one")
    before = keys(started)
    weights.write_bytes(b"two")
    assert [name for name, key in keys(started).items() if key != before[name]][0] == "train_0"


def test_what_cannot_be_used_is_told_at_once(recipe_file, tmp_path):
    content = yaml.safe_load(recipe_file.read_text())
    content["data"]["meshes"] = "gone.yaml"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match="recipe.yaml cannot be used") as error:
        read_recipe(tmp_path / "recipe.yaml")
    assert "gone.yaml, which does not exist" in str(error.value)
    assert f"backgrounds must be a folder of photographs, got {tmp_path}" in str(error.value)
    recipe = read_recipe(recipe_file)
    without = dataclasses.replace(recipe.data, mesh_share=0.0)
    with pytest.raises(ValueError, match=r"mesh share must be in \(0, 1\], got 0.0"):
        dataclasses.replace(recipe, data=without)


def test_folders_can_be_named_on_the_command_line(kp3d, recipe_file, tmp_path):
    output = kp3d("build", TOY, "-o", tmp_path / "run", "--dry-run",
                  "--backgrounds", recipe_file.parent / "pictures",
                  "--meshes", recipe_file.parent / "meshes.yaml")  # fmt: skip
    assert "train_0" in output
    output = kp3d("build", TOY, "-o", tmp_path / "run", "--dry-run", "--backgrounds",
                  tmp_path / "gone", code=1)  # fmt: skip
    assert "backgrounds must be a folder of photographs" in " ".join(output.split())
