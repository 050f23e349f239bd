"""ROS 2 interface of kp3d: it translates messages to arrays and back, and nothing else."""

from pkgutil import extend_path

# The messages (`kp3d_ros.msg`) are generated at build time into another folder than this one. Where
# this folder comes first on `sys.path` (tests from the root, editable installs) it must not hide
# them.
__path__ = extend_path(__path__, __name__)
