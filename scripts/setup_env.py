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
    if sys.platform != "linux":
        return "kp3d runs on Linux, this is %s: use a Linux machine or a container." % sys.platform
    if platform.machine() not in MACHINES:
        return "kp3d needs an %s processor, this is %s: no ROS 2 packages exist for it." % (
            " or ".join(MACHINES),
            platform.machine(),
        )
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return "kp3d needs Python 3.%d to 3.%d, %s is Python %d.%d: run `make PYTHON=python3.12 ...` with another one." % (  # noqa: E501
            OLDEST[1],
            NEWEST[1],
            sys.executable,
            sys.version_info[0],
            sys.version_info[1],
        )
    if platform.python_implementation() != "CPython":
        return "kp3d needs CPython, %s is %s: run `make PYTHON=/usr/bin/python3 ...`." % (
            sys.executable,
            platform.python_implementation(),
        )
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(map(int, version.split(".")[:2])) < OLDEST_GLIBC:
        return "kp3d needs glibc %d.%d or newer, this system has %s: use Debian 10, Ubuntu 20.04 or newer." % (  # noqa: E501
            OLDEST_GLIBC + ((libc + " " + version).strip() or "another C library",)
        )
    return None


if __name__ == "__main__":
    reason = unsupported()
    if reason:
        sys.exit("error: " + reason)
    from ros_env.setup import main

    main(sys.argv[1:])
