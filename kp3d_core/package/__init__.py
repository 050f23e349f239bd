"""From a checkpoint to the self-contained model file that a robot loads."""
