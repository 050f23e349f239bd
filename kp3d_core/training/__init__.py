"""Training: what `kp3d train` runs, with Lightning."""
