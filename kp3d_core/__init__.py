"""Semantic 3D keypoints from one RGB image: data, training, evaluation, export, inference."""

__version__ = "0.1.0"
