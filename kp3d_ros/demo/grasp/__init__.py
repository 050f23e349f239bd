"""A robot arm picks up a mug: simulator, real node and planner, joined by topics and TF only."""
