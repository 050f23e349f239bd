"""`python -m kp3d_ros.demo`: the same as `kp3d demo`."""

from kp3d_ros.demo.command import demo

if __name__ == "__main__":
    demo(prog_name="python -m kp3d_ros.demo")
