"""Start Python again with the libraries of this environment on LD_LIBRARY_PATH.

Installed into `.venv` only where ROS 2 is sourced, and run at each start of its Python. Without a
sourced ROS 2 it does nothing.
"""

import os
import sys


def _missing(variable: str, entry: str) -> bool:
    return entry not in os.environ.get(variable, "").split(os.pathsep)


def _reexec() -> None:
    libraries = os.path.join(sys.prefix, "lib")
    if not os.environ.get("AMENT_PREFIX_PATH") or not _missing("LD_LIBRARY_PATH", libraries):
        return
    env = dict(os.environ)
    # Behind the sourced ones: what ROS 2 itself has wins.
    for variable, entry in (("LD_LIBRARY_PATH", libraries), ("AMENT_PREFIX_PATH", sys.prefix)):
        env[variable] = os.pathsep.join(filter(None, [env.get(variable), entry]))
    os.execve(sys.executable, sys.orig_argv, env)


_reexec()
