"""Data sets: procedural instances, rendered shards, loaders."""
