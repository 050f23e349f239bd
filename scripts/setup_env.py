"""Make `.venv` ready for the demo or for training and tests: `python3 setup_env.py demo|train`.

This file must run on any Python 3, so that an unsupported one gets a sentence, not a traceback.
The work is in `ros_env/`.
"""

import platform
import sys

OLDEST, NEWEST = (3, 10), (3, 14)
MACHINES = ("x86_64", "aarch64")
OLDEST_GLIBC = (2, 28)


def unsupported():
    """Say in one sentence why kp3d cannot be installed here, or return None."""
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.platform != "linux":
        return f"kp3d runs on Linux, this is {sys.platform}. Use a Linux machine or a container."
    if platform.machine() not in MACHINES:
        needed = " or ".join(MACHINES)
        return f"kp3d needs an {needed} processor, this one is {platform.machine()}."
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return (
            f"kp3d needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, {sys.executable} is {version}. "
            "Choose another one, for example: make PYTHON=python3.11 demo"
        )
    if platform.python_implementation() != "CPython":
        return f"kp3d needs CPython, {sys.executable} is {platform.python_implementation()}."
    libc, libc_version = platform.libc_ver()
    if libc != "glibc" or tuple(map(int, libc_version.split(".")[:2])) < OLDEST_GLIBC:
        return (
            "kp3d needs glibc 2.28 or newer (Debian 10, Ubuntu 20.04 and later), "
            f"this system has {libc or 'another C library'} {libc_version}."
        )
    return None


if __name__ == "__main__":
    reason = unsupported()
    if reason:
        sys.exit("error: " + reason)
    from ros_env.setup import main

    main(sys.argv[1:])
