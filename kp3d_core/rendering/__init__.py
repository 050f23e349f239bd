"""Software renderer: triangle meshes to RGB, mask and depth."""
