"""Data, models, losses, optimizers, learning-rate factors: plain keyword arguments in, never a config."""
