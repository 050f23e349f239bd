"""Measurements of speed, each with its baseline and the machine's own peak in the same run."""
