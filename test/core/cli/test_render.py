"""The command `kp3d render`."""

from kp3d_core.data.shards import ShardDataset

RUN = "render --category car --split test --instances 2 --views 3 --size 16 --jobs 1".split()


def test_writes_a_set_and_sums_it_up(kp3d, tmp_path):
    output = kp3d(*RUN, "--output", tmp_path)
    assert "2 instances x 3 views in 1 shards" in output
    assert "6 images rendered" in output
    assert [r.seed for r in ShardDataset(tmp_path)] == [20_000_000, 20_000_001]
    assert "0 images rendered" in kp3d(*RUN, "--output", tmp_path)


def test_robot_camera_and_seed_offset(kp3d, tmp_path):
    kp3d(*RUN, "--camera", "robot", "--seed-offset", 9, "--output", tmp_path)
    manifest = ShardDataset(tmp_path).manifest
    assert manifest.camera["sampling"] == "robot"
    assert manifest.seed_offset == 9


def test_light_and_generator_for_photographs(kp3d, tmp_path):
    told = ("--light", "photographs", "--random-surfaces", 0.5, "--generator", 2)
    kp3d(*RUN, *told, "--output", tmp_path / "2")
    kp3d(*RUN, "--output", tmp_path / "1")
    second, first = (ShardDataset(tmp_path / name).manifest for name in "21")
    assert (second.light, second.random_surfaces) == ("photographs", 0.5)
    assert "version 2" in second.generator
    assert "version" not in first.generator
    output = kp3d(*RUN, "--generator", 3, "--output", tmp_path / "3", code=1)
    assert "version must be between 1 and 2, got 3" in output
    output = kp3d(*RUN, "--random-surfaces", 0.5, "--output", tmp_path / "4", code=1)
    assert "need light 'photographs'" in output


def test_everything_wrong_is_told_at_once(kp3d, tmp_path):
    output = kp3d("render", "--category", "boat", "--split", "dev", "--views", 0, "--camera", "x",
                  "--jobs", 0, "--output", tmp_path / "new", code=1)  # fmt: skip
    for part in (
        "category must be one of",
        "split must be one of train, val, test, got 'dev'",
        "views must be between",
        "camera must be one of paper, robot, eye_level, got 'x'",
        "jobs must be at least 1, got 0",
    ):
        assert part in output
    assert not (tmp_path / "new").exists()


def test_foreign_folder_is_refused(kp3d, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    assert "must be empty or hold an unfinished set" in kp3d(*RUN, "--output", tmp_path, code=1)
