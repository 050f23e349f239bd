"""Mugs and cups with a handle, from an instance seed."""
