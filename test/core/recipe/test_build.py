"""A recipe is made once, goes on where it was killed, and makes anew what has changed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kp3d_core.inference import load_model
from kp3d_core.recipe import budget
from kp3d_core.recipe.build import Build
from kp3d_core.recipe.settings import read_recipe
from kp3d_core.recipe.stages import Stage, code_digest, is_done, read_state, run_stages

sys.path.insert(0, str(Path(__file__).parents[1] / "package"))
from browser import find_browser, open_page  # noqa: E402

TOY = Path(__file__).with_name("toy.yaml")
KILLED = """
import os, signal, sys
from pathlib import Path
from kp3d_core.recipe.build import Build
from kp3d_core.recipe.settings import read_recipe
recipe, unbroken, broken, *kills = sys.argv[1:]
def build(folder, part="", at=0):  # each in a process of its own, which need not import again
    def report(what, done, total):
        if what == part and done >= at:
            os.kill(os.getpid(), signal.SIGKILL)
    if (child := os.fork()) == 0:
        try:
            Build(read_recipe(Path(recipe)), Path(folder), accelerator="cpu", report=report).run()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(build(unbroken), *(build(broken, *k.split("@")[:1], int(k.split("@")[1])) for k in kills),
      build(broken))
"""


def _build(output, recipe=None, **arguments):
    return Build(recipe or read_recipe(TOY), output, accelerator="cpu", **arguments)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Run folder of the toy recipe, the parts that were told of, and what was said."""
    folder, parts, said = tmp_path_factory.mktemp("run"), [], []
    _build(folder, report=lambda *told: parts.append(told), say=said.append).run()
    return folder, parts, said


def weights(folder, stage):
    last = folder / stage / "checkpoints" / "last.ckpt"
    return torch.load(last, weights_only=False)["state_dict"]


def test_a_recipe_becomes_a_model_with_its_report(built):
    folder, parts, said = built
    model = load_model(folder / "package" / "toy.onnx")
    assert (model.name, model.category, model.input_size) == ("toy", "car", 64)
    assert model.int8 is not None
    assert model.provenance["config"]["finetune"]["steps"] == 3
    page = (folder / "report.html").read_text()
    assert "<h2>Training: train_0</h2>" in page
    assert "<h2>Training: finetune</h2>" in page
    assert "<h2>Robustness</h2>" in page
    assert "<td>textured, light</td>" in page
    assert 'alt="sweep_size"' in page
    assert page.count("data:image/png;base64,") >= 5  # of the evaluation, and a curve
    assert json.loads((folder / ".build" / "recipe.json").read_text())["category"] == "car"
    stages = ["data_train", "data_finetune", "data_val", "data_test", "train_0", "finetune",
              "package", "robustness", "report"]  # fmt: skip
    assert said == [f"{stage}: begins" for stage in stages]
    assert [s.name for s in _build(folder).stages()] == stages
    for what in ("data: train", "train_0", "finetune: reading", "finetune"):
        done = [told for told in parts if told[0] == what]
        assert done[-1][1] == done[-1][2], what  # to the end
    for stage in _build(folder).stages():
        assert is_done(folder, stage)
        assert stage.seconds > 0
        assert read_state(folder, stage.name)["seconds"] > 0


@pytest.mark.skipif(find_browser() is None, reason="needs a Chromium: apt install chromium")
def test_a_browser_shows_the_whole_report_and_fetches_nothing(built, tmp_path):
    folder, *_ = built
    told = open_page(folder / "report.html", tmp_path)
    assert told["images"] == told["shown"] >= 7
    assert {"Figures", "Front and back", "Robustness", "Training: finetune"} <= {*told["headings"]}
    assert not told["too_wide"]
    assert told["fetched"] == []


def test_nothing_is_done_twice(built):
    folder, *_ = built
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.onnx")}
    said = []
    _build(folder, say=said.append).run()
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.onnx")} == before


def test_what_has_changed_is_made_anew_and_what_follows_from_it(built):
    folder, *_ = built
    recipe = read_recipe(TOY)

    def undone(changed):
        build = _build(folder, changed)
        return [stage.name for stage in build.stages() if not is_done(folder, stage)]

    package = dataclasses.replace(recipe.package, pairs=2)
    assert undone(dataclasses.replace(recipe, package=package)) == [
        "package",
        "robustness",
        "report",
    ]
    finetune = dataclasses.replace(recipe.finetune, steps=2)
    assert undone(dataclasses.replace(recipe, finetune=finetune)) == [
        "finetune", "package", "robustness", "report"
    ]  # fmt: skip
    phase = dataclasses.replace(recipe.train[0], model={"seed": 1})
    assert undone(dataclasses.replace(recipe, train=(phase,)))[0] == "train_0"
    val = dataclasses.replace(recipe.data, val=dataclasses.replace(recipe.data.val, views=5))
    assert undone(dataclasses.replace(recipe, data=val)) == [
        "data_val", "train_0", "finetune", "package", "robustness", "report"
    ]  # fmt: skip
    assert undone(recipe) == []


def test_changed_code_counts_and_changed_comments_do_not(tmp_path, monkeypatch):
    module = tmp_path / "some_stage.py"
    monkeypatch.syspath_prepend(tmp_path)
    module.write_text('"""Text."""\n\n\ndef double(x):\n    """Text."""\n    return 2 * x\n')
    before = code_digest("some_stage")
    module.write_text('"""Other."""\n# comment\ndef double(x):\n    return 2*x\n')
    assert code_digest("some_stage") == before
    module.write_text("def double(x):\n    return 3 * x\n")
    assert code_digest("some_stage") != before


def test_a_stage_whose_inputs_change_starts_from_an_empty_folder(tmp_path):
    def stage(size, run):
        return Stage("one", tmp_path / "one", {"size": size}, (), run)

    def write():
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "one" / "file").write_text("first")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        run_stages(tmp_path, [stage(1, write)])
    said, found = [], []

    def look():
        found.append((tmp_path / "one" / "file").exists())

    run_stages(tmp_path, [stage(1, look)], said.append)
    run_stages(tmp_path, [stage(2, look)], said.append)
    assert found == [True, False]
    run_stages(tmp_path, [stage(2, look)], said.append)  # what it wrote is not there
    assert len(found) == 3
    assert said == ["one: goes on", "one: inputs have changed, made anew", "one: begins",
                    "one: begins"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(3600)  # 75 s of one core
def test_killed_in_each_stage_it_goes_on_to_the_same_weights(tmp_path):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    kills = ("data: finetune@3", "train_0@3", "finetune: reading@4", "finetune: refiner alone@9",
             "finetune@2", "package: int8@0", "package: evaluation, int8@1")  # fmt: skip
    command = [sys.executable, "-c", KILLED, TOY, unbroken, broken, *kills]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    codes = [int(code) for code in run.stdout.splitlines()[-1].split()]
    assert codes == [0, *[-signal.SIGKILL] * len(kills), 0], run.stderr[-2000:]
    said = []
    model = _build(broken, say=said.append).run()
    assert said == []  # all is done
    for stage in ("train_0", "finetune"):
        expected = weights(unbroken, stage)
        for name, value in weights(broken, stage).items():
            assert torch.equal(value, expected[name]), (stage, name)
    assert load_model(model).int8 is not None
    assert not list(broken.rglob("*.partial"))


def test_time_fits_the_steps_of_all_trainings_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(Build, "_seconds_a_step", lambda self, phase: 0.5)
    monkeypatch.setattr(budget, "estimated_seconds_a_step", lambda recipe: estimated)
    monkeypatch.setattr(budget.estimates, "apart_from_steps", lambda recipe: 150.0)
    estimated = 0.5
    recipe = read_recipe(TOY)
    recipe = dataclasses.replace(
        recipe,
        train=(dataclasses.replace(recipe.train[0], steps=1000),),
        finetune=dataclasses.replace(recipe.finetune, steps=500),
    )
    found = _build(tmp_path, recipe)._in_time(150 + 0.4 * 750)
    assert (found.train[0].steps, found.finetune.steps) == (400, 200)
    # Decided once: a run that goes on keeps them, however little time is left.
    assert _build(tmp_path, recipe)._in_time(1.0) == found
    # Another time or another recipe is another decision.
    assert _build(tmp_path, recipe)._in_time(150 + 0.2 * 750, 60.0).train[0].steps == 200
    fewer = dataclasses.replace(recipe, finetune=dataclasses.replace(recipe.finetune, steps=50))
    assert _build(tmp_path, fewer)._in_time(1e6, 60.0) == fewer
    # A machine of half the speed takes twice the time for what is not training, too.
    estimated = 0.25
    assert _build(tmp_path / "slow", recipe)._in_time(300 + 0.4 * 750) == found
    estimated = 0.5
    with pytest.raises(
        ValueError, match="--time leaves 100 s for training and what follows, which"
    ):
        _build(tmp_path / "other", recipe)._in_time(100.0)
    assert _build(tmp_path / "more", recipe)._in_time(1e6) == recipe


def test_dry_run_tells_what_is_to_do_and_makes_nothing(kp3d, tmp_path):
    output = kp3d("build", TOY, "-o", tmp_path / "run", "--dry-run")
    for word in ("data_train", "train_0", "finetune", "package", "report", "memory [MB]"):
        assert word in output
    assert not (tmp_path / "run").exists()
    assert "must look like 90m" in kp3d("build", TOY, "-o", tmp_path, "--time", "soon", code=1)


def test_a_folder_with_other_things_is_left_alone(kp3d, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    output = kp3d("build", TOY, "-o", tmp_path, code=1)
    assert "must be empty or hold a run of `kp3d build`, but it holds mine.txt" in output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
