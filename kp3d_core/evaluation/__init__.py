"""How good a model file is, measured through the engine that a robot would run."""
