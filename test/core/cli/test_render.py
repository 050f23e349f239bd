"""The command `kp3d render`."""

from typer.testing import CliRunner

from kp3d_core.cli.main import app
from kp3d_core.data.shards import ShardDataset

RUN = "render --category car --split test --instances 2 --views 3 --size 16 --jobs 1".split()


def run(*args):
    return CliRunner().invoke(app, list(args))


def test_writes_a_set_and_sums_it_up(tmp_path):
    result = run(*RUN, "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "2 instances x 3 views in 1 shards" in result.output
    assert "6 images rendered" in result.output
    assert [r.seed for r in ShardDataset(tmp_path)] == [20_000_000, 20_000_001]
    again = run(*RUN, "--output", str(tmp_path))
    assert "0 images rendered" in again.output


def test_robot_camera_and_seed_offset(tmp_path):
    result = run(*RUN, "--camera", "robot", "--seed-offset", "9", "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    manifest = ShardDataset(tmp_path).manifest
    assert manifest.camera["sampling"] == "robot"
    assert manifest.seed_offset == 9


def test_everything_wrong_is_told_at_once(tmp_path):
    result = run(
        "render",
        "--category",
        "boat",
        "--split",
        "dev",
        "--views",
        "0",
        "--camera",
        "x",
        "--jobs",
        "0",
        "--output",
        str(tmp_path / "new"),
    )
    assert result.exit_code == 1
    for part in (
        "category must be one of",
        "split must be one of train, val, test, got 'dev'",
        "views must be between",
        "camera must be one of paper, robot, got 'x'",
        "jobs must be at least 1, got 0",
    ):
        assert part in result.output
    assert not (tmp_path / "new").exists()


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    result = run(*RUN, "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "Error: output must be empty" in result.output
