"""Settings of an experiment: read and checked."""

import pytest

from kp3d_core.reproduce.settings import SetSize, Settings


def test_sizes_are_read_and_written():
    assert SetSize.parse("100x200") == (100, 200)
    assert str(SetSize(3, 4)) == "3x4"
    with pytest.raises(ValueError, match="INSTANCESxVIEWS, such as 100x200, got '100'. Give both"):
        SetSize.parse("100")


def test_everything_wrong_is_told_at_once():
    with pytest.raises(ValueError, match="budget must be at least 1, got 0; pairs .*; test must"):
        Settings(budget=0, pairs=0, test=SetSize(5, 1))
