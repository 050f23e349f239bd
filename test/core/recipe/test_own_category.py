"""A category of imported meshes goes through a recipe as a built-in one does."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kp3d_core.data.memory import load_views
from kp3d_core.data.objects import object_category
from kp3d_core.data.procedural import make_instance
from kp3d_core.inference import load_model
from kp3d_core.objects.meshes.archive import save_mesh
from kp3d_core.recipe.build import Build
from kp3d_core.recipe.settings import read_recipe
from kp3d_core.recipe.stages import is_done, run_stages

TOY = Path(__file__).with_name("toy.yaml")
SPLITS = ("train", "train", "val", "test", "test")


def write_category(folder, **changes):
    """Four mugs by another name."""
    entries = []
    for seed, split in enumerate(SPLITS):
        save_mesh(make_instance("mug", seed).mesh, folder / f"{seed}.npz")
        entry = {"category": "cup", "files": [f"{seed}.npz"], "split": split}
        entry |= {"source": f"cup_{seed}", "R_kp3d_from_file": np.eye(3).tolist()}
        entries.append(entry)
    (folder / "cup.yaml").write_text(yaml.safe_dump({"meshes": entries} | changes))


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cups")
    write_category(folder)
    recipe = yaml.safe_load(TOY.read_text()) | {"category": "cup.yaml", "name": None}
    recipe["package"] = {"pairs": 3, "encounters": 12}
    recipe["package"]["surface"] = {"objects": 4, "heldout_objects": 1, "views": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def rendered(recipe_file, tmp_path_factory):
    """Run folder whose sets are there."""
    folder = tmp_path_factory.mktemp("run") / "cup"
    folder.mkdir()
    run_stages(folder, Build(read_recipe(recipe_file), folder).data_stages())
    return folder


@pytest.mark.slow
def test_a_model_of_imported_meshes_is_made(recipe_file, tmp_path):
    parts = []
    recipe = read_recipe(recipe_file)
    build = Build(recipe, tmp_path, accelerator="cpu", report=lambda *told: parts.append(told))
    model = load_model(build.run())
    assert (model.name, model.category) == ("cup", "cup")
    assert model.int8 is not None
    assert {part for part, *_ in parts} >= {"depth: objects to fit to"}
    # After three steps the model knows nothing, so depth cannot be corrected: told, not fatal.
    assert model.surface is None
    page = (tmp_path / "report.html").read_text()
    assert "There is no correction for depth images. A surface needs at least 100 views" in page


def test_sets_show_the_meshes_of_their_split(rendered, recipe_file):
    kinds = {
        name: load_views(rendered / "data" / name, 16).kinds for name in ("train", "val", "test")
    }
    assert set(kinds["train"]) == {"cup_0:0", "cup_1:1"}
    assert set(kinds["val"]) == {"cup_2:2"}
    assert kinds["test"] == ("cup_3:3", "cup_4:4")  # as they are, each once
    recipe = read_recipe(recipe_file)
    more = dataclasses.replace(
        recipe.data, test=dataclasses.replace(recipe.data.test, instances=100)
    )
    assert dataclasses.replace(recipe, data=more).render_settings("test").instances == 2
    source = recipe.objects.source("train")
    first, second, again = (source("cup", seed).mesh.vertices for seed in (0, 1, 0))
    assert (first == again).all()
    assert first.shape != second.shape or (first != second).any()
    test = recipe.objects.source("test")
    assert (test("cup", 0).mesh.vertices == make_instance("mug", 3).mesh.vertices).all()


def test_a_changed_mesh_makes_the_stages_of_its_split_run_again(rendered, recipe_file):
    def keys():
        build = Build(read_recipe(recipe_file), rendered)
        return {stage.name: (stage.key, is_done(rendered, stage)) for stage in build.stages()}

    def changed():
        return [name for name, key in keys().items() if key != first[name]]

    first = keys()
    assert [name for name, (_, done) in first.items() if done] == [
        "data_train", "data_finetune", "data_val", "data_test"
    ]  # fmt: skip
    archive = recipe_file.parent / "3.npz"
    before = archive.read_bytes()
    save_mesh(make_instance("mug", 33).mesh, archive)
    assert changed() == ["data_test", "package", "robustness", "report"]
    archive.write_bytes(before)
    assert changed() == []


def test_render_takes_the_file_of_a_category(kp3d, recipe_file, tmp_path):
    output = kp3d("render", "--category", recipe_file.parent / "cup.yaml", "--split", "test",
                  "--instances", 2, "--views", 2, "--size", 16, "--output", tmp_path)  # fmt: skip
    assert "2 instances x 2 views" in output
    assert json.loads((tmp_path / "manifest.json").read_text())["category"] == "cup"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meshes": []}, "must hold meshes of one category with a word as its name, got none"),
        ({"symmetry": "round"}, "symmetry in .*cup.yaml must be one of none, two-fold, full"),
        ({"meshes": "0.npz"}, 'must be a list of meshes {"meshes": '),
    ],
)
def test_files_of_no_category_are_refused(tmp_path, changes, message):
    write_category(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        object_category(str(tmp_path / "cup.yaml"))


def test_a_recipe_names_what_is_wrong_with_its_category(tmp_path):
    (tmp_path / "recipe.yaml").write_text("category: gone.yaml\ntrain: []\n")
    with pytest.raises(ValueError, match="gone.yaml, which does not exist.*train must have"):
        read_recipe(tmp_path / "recipe.yaml")
