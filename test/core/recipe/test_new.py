"""`kp3d new`: from a folder of meshes, some of them damaged, to a model in one command."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from kp3d_core.data.procedural import make_instance
from kp3d_core.inference import load_model
from kp3d_core.objects.meshes.importing import ImportSettings
from kp3d_core.objects.meshes.writing import write_glb
from kp3d_core.recipe.new import NewModel
from kp3d_core.recipe.settings import read_recipe
from kp3d_core.training.packaged import load_weights

sys.path.insert(0, str(Path(__file__).parents[1] / "objects" / "meshes"))
from odd_files import BOX_FACES, box, write_damaged, write_odd  # noqa: E402

TOY = Path(__file__).with_name("toy.yaml")


def boxes(folder, count=3):
    folder.mkdir()
    for number in range(count):
        size = (4, 2 + 0.1 * number, 1)
        (folder / f"{number}.obj").write_text(box((0, 0, 0), size) + BOX_FACES)
    return folder


def new(meshes, output, name="crate", **options):
    return NewModel(ImportSettings(name, up="z", front="x"), meshes, output, **options)


def test_meshes_are_imported_once_and_the_recipe_can_be_edited(tmp_path):
    meshes, output = boxes(tmp_path / "cad"), tmp_path / "run"
    model = new(meshes, output)
    report, sheets = model.prepare()
    assert [item.name for item in report.meshes] == ["0.obj", "1.obj", "2.obj"]
    assert sheets[0].is_file()
    recipe = read_recipe(model.recipe_file)
    assert recipe.objects.name == "crate"
    (phase,) = recipe.train
    assert phase.presets == ("photographs",)
    assert load_weights(phase.model["initial_weights"]).settings["network"] == "lite"
    # The first guess of the keypoints is as long, wide and high as the objects are.
    length, width, height = phase.model["anchor_semi_axes"]
    assert (length, height) == (0.8, 0.2)
    assert 0.4 <= width <= 0.44
    assert not model.recipe_is_edited
    assert model.prepare() is None
    assert recipe.data.train.instances == 600
    new(meshes, output, time_s=12 * 60.0).prepare()  # other options, another recipe
    assert read_recipe(model.recipe_file).data.train.instances == 80
    new(meshes, output, backgrounds=tmp_path).prepare()
    assert read_recipe(model.recipe_file).backgrounds == str(tmp_path)
    model.prepare()

    edited = model.recipe_file.read_text().replace("steps: 6000", "steps: 17")
    model.recipe_file.write_text(edited)
    assert new(meshes, output, time_s=60.0).prepare() is None
    assert model.recipe_is_edited
    assert read_recipe(model.recipe_file).train[0].steps == 17

    before = recipe.objects.digest("train")
    (meshes / "3.obj").write_text(box((0, 0, 0), (4, 3, 1)) + BOX_FACES)
    report, _ = model.prepare()
    assert len(report.meshes) == 4
    assert read_recipe(model.recipe_file).objects.digest("train") != before
    with pytest.raises(ValueError, match="must be of the category vase, but its recipe.yaml is"):
        new(meshes, output, "vase").prepare()


def test_a_killed_import_begins_again(tmp_path):
    meshes, output = boxes(tmp_path / "cad", 2), tmp_path / "run"

    def die(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new(meshes, output, report=die).prepare()
    report, _ = new(meshes, output).prepare()
    assert len(report.meshes) == 2
    left = {path.name for path in (output / "category").iterdir()}
    assert left == {"crate.yaml", "crate", "crate_sheets"}


def test_without_a_usable_mesh_every_file_is_named_and_nothing_is_made(kp3d, tmp_path):
    (tmp_path / "cad").mkdir()
    for name in ("a.obj", "b.step"):
        (tmp_path / "cad" / name).write_text("nothing")
    output = kp3d("new", "crate", "--meshes", tmp_path / "cad", "-o", tmp_path / "run", code=1)
    assert "None of the files can be used. a.obj" in output
    assert "b.step: .step is not read: export it as GLB" in output
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    message = kp3d("new", "crate", "--meshes", tmp_path, "-o", tmp_path / "cad", code=1)
    assert "must be empty or hold a run of `kp3d new`" in message


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")  # of the libraries that train
def test_good_meshes_among_damaged_ones_become_a_model(kp3d, tmp_path):
    meshes, output = tmp_path / "cad", tmp_path / "run"
    meshes.mkdir()
    reasons, notes = write_damaged(meshes), write_odd(meshes)
    for seed in range(3):
        write_glb(make_instance("mug", seed).mesh, meshes / f"mug_{seed}.glb", 0.05)
    settings = ImportSettings("mug", up="y", front="x")
    NewModel(settings, meshes, output).prepare()
    recipe = output / "recipe.yaml"
    toy = yaml.safe_load(TOY.read_text())
    content = yaml.safe_load(recipe.read_text())
    content |= {key: toy[key] for key in ("data", "finetune", "package", "robustness")}
    content["train"][0] |= {"steps": 4, "data": toy["train"][0]["data"]}
    recipe.write_text(yaml.safe_dump(content))
    (output / ".build" / "import.json").unlink()  # the command itself is to import
    told = kp3d("new", "mug", "--meshes", meshes, "-o", output, "--up", "y", "--front", "x",
                "--time", "2h")  # fmt: skip
    category = yaml.safe_load((output / "category" / "mug.yaml").read_text())
    assert set(category["left_out"]) == set(reasons)
    for name, reason in reasons.items():
        assert re.search(reason, category["left_out"][name]), name
    assert {entry["source"] for entry in category["meshes"]} == {
        *notes, "mug_0.glb", "mug_1.glb", "mug_2.glb"
    }  # fmt: skip
    assert "9 meshes used, 15 left out" in told
    assert "recipe.yaml counts as you edited it" in told
    path = output / "package" / "mug.onnx"
    assert f"detector.launch.py model:={path}" in told
    model = load_model(path)
    assert model.category == "mug"
    assert model.int8 is not None
    assert (output / "report.html").is_file()
    assert "goes on" not in kp3d("new", "mug", "--meshes", meshes, "-o", output, "--up", "y",
                                 "--front", "x", "--time", "2h")  # fmt: skip
