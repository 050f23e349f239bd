"""Bags without ROS: read one, run the pipeline of the node, write another one."""
