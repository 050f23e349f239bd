"""Set up `.venv`: Python packages, ROS 2, messages. Standard library only."""
