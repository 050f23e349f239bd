"""Settings of an experiment: read, checked, and never mixed in one folder."""

import pytest

from kp3d_core.reproduce.settings import SetSize, Settings, claim


def test_sizes_are_read_and_written():
    assert SetSize.parse("100x200") == (100, 200)
    assert str(SetSize(3, 4)) == "3x4"
    with pytest.raises(ValueError, match="INSTANCESxVIEWS, such as 100x200, got '100'. Give both"):
        SetSize.parse("100")


def test_everything_wrong_is_told_at_once():
    with pytest.raises(ValueError, match="budget must be at least 1, got 0; pairs .*; test must"):
        Settings(budget=0, pairs=0, test=SetSize(5, 1))


def test_a_folder_holds_one_experiment_with_one_set_of_settings(tmp_path):
    claim(tmp_path, "table1", Settings(budget=10))
    claim(tmp_path, "table1", Settings(budget=10))
    with pytest.raises(ValueError, match=r"other settings: budget is 10 there and 20 now. Choose"):
        claim(tmp_path, "table1", Settings(budget=20))
    with pytest.raises(ValueError, match="experiment is table1 there and ablations now"):
        claim(tmp_path, "ablations", Settings(budget=10))
