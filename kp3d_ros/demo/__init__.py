"""Demonstration: the real node watches an unseen car, and what it says is measured.

Run it with `kp3d demo` or `python -m kp3d_ros.demo`.
"""
