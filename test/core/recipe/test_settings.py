"""Recipes: those that are shipped can be read, and everything wrong with one is told at once."""

from pathlib import Path

import pytest
import yaml

from kp3d_core.recipe.settings import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[3] / "config" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_shipped_recipes_are_of_their_category(path):
    recipe = read_recipe(path)
    assert (recipe.name or recipe.category) == path.stem
    assert recipe.category == path.stem.removesuffix("_photo")
    presets = [phase.presets for phase in recipe.train]
    if path.stem.endswith("_photo"):
        further = ("photographs", "further")
        assert presets == [("photographs",), further, further]
    else:
        assert presets == [("fast",), ("fast", "finish")]


def test_there_is_one_for_each_shipped_model():
    from kp3d_core.inference import shipped_models

    assert {path.stem for path in RECIPES} >= set(shipped_models())


def _read(tmp_path, **content):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"category": "car"} | content))
    return read_recipe(path)


def test_defaults_are_in_the_code(tmp_path):
    assert _read(tmp_path) == Recipe("car")
    assert _read(tmp_path, finetune=None).finetune is None
    changed = _read(tmp_path, finetune={"learning_rate": 1, "weights": {"pose": 2.0}})
    assert changed.finetune.learning_rate == 1.0
    assert changed.finetune.weights.pose == 2.0
    assert changed.finetune.weights.scale == 10.0


def test_everything_wrong_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="recipe.yaml cannot be used") as error:
        _read(
            tmp_path,
            dat={},
            data={"train": {"instances": "many", "views": 4}, "val": {"views": 4}},
            finetune={"steps": 1.5, "loss_weights": {}, "reframing": {"probability": 2.0}},
            package={"mirror": "yes", "surface": {"steps": 3}},
        )
    message = str(error.value)
    for part in (
        "dat: unknown key dat, known are category, name, data, train, backgrounds, finetune",
        "data.train.instances must be of type int, got 'many'",
        "data.val.instances is missing",
        "finetune.steps must be of type int, got 1.5",
        "finetune.loss_weights: unknown key loss_weights, known are steps",
        "reframing.probability must be in [0, 1], got 2.0",
        "package.mirror must be of type bool, got 'yes'",
        "package.surface: Depth cannot be calibrated: steps must be at least 20, got 3",
    ):
        assert part in message, part


def test_phases_are_checked_before_anything_is_rendered(tmp_path):
    with pytest.raises(ValueError, match="recipe.yaml cannot be used") as error:
        _read(
            tmp_path,
            category="boat",
            data={"finetune": {"instances": 10, "views": 4}, "test": {"instances": 3, "views": 0}},
            train=[
                {"steps": 0, "presets": ["slow"], "model": {"breadth": 1.0}},
                {"steps": 5, "model": {"weights": {"pose": "high"}}, "data": {"input_size": "64"}},
            ],
        )
    message = str(error.value)
    for part in (
        "category must be one of car",
        "data.finetune must hold other objects than data.train",
        "data.test: Render settings are wrong: views must be between 1 and 1000, got 0",
        "train[0].steps must be at least 1, got 0",
        "train[0].presets: CONFIG must be YAML files or presets (fast, finish",
        "train[0].model.breadth: unknown key breadth",
        "train[1].model.weights.pose must be of type float, got 'high'",
        "train[1].data.input_size must be of type int, got '64'",
    ):
        assert part in message, part


@pytest.mark.parametrize("text", ["[1, 2]", "", "a: [", "\x00"])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="recipe.yaml"):
        read_recipe(path)
    with pytest.raises(ValueError, match="RECIPE must be a YAML file, got .*gone.yaml"):
        read_recipe(tmp_path / "gone.yaml")
