"""Parametric chairs: dining, shell, sled, cantilever, swivel and easy chairs, bar stools."""
