"""A model from a recipe: stages that are resumed, and skipped where nothing has changed."""
