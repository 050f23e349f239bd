"""Photographs whose objects have a known pose: reading them, measuring a model on them."""
