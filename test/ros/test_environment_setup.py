"""The scripts behind `make env`: what they refuse, and that nothing is done twice."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import ros_env.setup as setup  # noqa: E402
import setup_env  # noqa: E402
from ros_env import ros  # noqa: E402
from ros_env.shell import SetupError, clean_environment, run  # noqa: E402
from ros_env.stamps import Stamps, digest  # noqa: E402

Version = namedtuple("Version", "major minor micro releaselevel serial")


def test_this_machine_is_supported():
    assert setup_env.unsupported() is None


@pytest.mark.parametrize("minor", [9, 15])
def test_unsupported_python_gets_a_sentence(monkeypatch, minor):
    monkeypatch.setattr(sys, "version_info", Version(3, minor, 0, "final", 0))
    assert f"needs Python 3.10 to 3.14, {sys.executable} is 3.{minor}" in setup_env.unsupported()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("machine", "armv7l", "needs an x86_64 or aarch64 processor, this one is armv7l"),
        ("python_implementation", "PyPy", "needs CPython"),
        ("libc_ver", ("", ""), "needs glibc 2.28 or newer"),
        ("libc_ver", ("glibc", "2.17"), "this system has glibc 2.17"),
    ],
)
def test_unsupported_platform_gets_a_sentence(monkeypatch, name, value, message):
    monkeypatch.setattr(platform, name, lambda: value)
    assert message in setup_env.unsupported()


def test_other_operating_system_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "runs on Linux, this is darwin" in setup_env.unsupported()


def test_stamp_is_fresh_only_for_the_same_inputs(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.msg").write_text("bool x")
    stamps = Stamps(tmp_path / "stamps")
    key = digest("3.11", source)
    assert not stamps.fresh("step", key)
    stamps.set("step", key)
    assert stamps.fresh("step", digest("3.11", source))
    (source / "a.msg").write_text("bool y")
    assert not stamps.fresh("step", digest("3.11", source))
    stamps.clear("step")
    assert not stamps.fresh("step", key)


def test_failing_command_shows_its_output_and_a_hint(tmp_path, capfd):
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    with pytest.raises(SetupError, match=r"Doing it failed.*step\.log\. Try this\."):
        run("Doing it", command, tmp_path / "step.log", {}, "Try this.")
    assert "the reason" in capfd.readouterr().err


def test_foreign_venv_is_not_touched(tmp_path, monkeypatch):
    (tmp_path / "pyvenv.cfg").write_text("somebody else's")
    monkeypatch.setattr(setup, "VENV", tmp_path)
    with pytest.raises(SetupError, match="was not made by this project. Move it away"):
        setup._create_venv(Path(sys.executable), {}, Stamps(tmp_path / "stamps"), "key", None)
    assert (tmp_path / "pyvenv.cfg").exists()


def test_venv_behind_a_link_is_not_deleted(tmp_path, monkeypatch):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/made_by_kp3d").touch()
    link = tmp_path / ".venv"
    link.symlink_to("venv")
    monkeypatch.setattr(setup, "VENV", link)
    with pytest.raises(SetupError, match="is a symbolic link to .*/venv, which"):
        setup._create_venv(Path(sys.executable), {}, Stamps(tmp_path / "stamps"), "key", None)
    assert (tmp_path / "venv/made_by_kp3d").exists()


def test_no_ros_is_sourced_without_ament_prefix_path():
    assert ros.find_sourced(Path(sys.executable), {}, ("tf2_ros",)) is None


def test_sourced_ros_says_which_modules_it_has(tmp_path):
    for name in ("rclpy", "vision_msgs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    env = {
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
        "ROS_DISTRO": "jazzy",
        "PYTHONPATH": str(tmp_path),
    }
    sourced = ros.find_sourced(
        Path(sys._base_executable), env, ("vision_msgs", "module_that_is_not_there")
    )
    assert sourced == ros.SourcedRos("jazzy", "/opt/ros/jazzy", frozenset({"vision_msgs"}))


def test_sourced_ros_of_another_python_gets_a_sentence(tmp_path):
    (tmp_path / "rclpy.py").write_text("raise ImportError('built for another Python')")
    env = {
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
        "ROS_DISTRO": "jazzy",
        "PYTHONPATH": str(tmp_path),
    }
    with pytest.raises(SetupError, match="ROS 2 jazzy is sourced, but .* cannot import its rclpy"):
        ros.find_sourced(Path(sys._base_executable), env, ())


def test_environment_is_free_of_what_the_running_venv_added(monkeypatch):
    venv = Path("/repository/.venv")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/jazzy:{venv}")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{venv}/lib")
    monkeypatch.setenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1")
    env = clean_environment(venv)
    assert env["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
    assert "LD_LIBRARY_PATH" not in env
    assert "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in env


def test_makefile_without_python_gets_a_sentence():
    result = subprocess.run(
        ["make", "PYTHON=python-that-is-not-there", "env"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "error: kp3d needs Python 3.10 to 3.14" in result.stderr
    assert "Traceback" not in result.stderr
