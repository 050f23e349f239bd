"""Model files that this package ships."""
