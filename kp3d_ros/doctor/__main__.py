"""`python -m kp3d_ros.doctor` and `ros2 run kp3d_ros doctor`: the same as `kp3d doctor`.

A robot need not have the packages that command lines are made of.
"""

import argparse
import sys

from kp3d_ros.doctor.report import SECONDS, print_report


def main() -> int:
    """Run the command line; the result is the exit status."""
    parser = argparse.ArgumentParser(description="Say what works here and what does not.")
    parser.add_argument("-m", "--model", action="append", default=[], help="model file to check")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="how long to look at running topics"
    )
    options = parser.parse_args()
    count = print_report(options.model, options.seconds, coloured=sys.stdout.isatty())
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
