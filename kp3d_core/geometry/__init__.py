"""Projection, crops, Procrustes and rotations, one implementation for numpy and torch."""
