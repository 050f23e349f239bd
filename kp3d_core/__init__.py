"""Semantic 3D keypoints from one RGB image: data, training, evaluation, export, inference."""

