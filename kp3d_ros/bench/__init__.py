"""`kp3d bench node`: how fast the node is, measured from outside, with the real rclpy."""
