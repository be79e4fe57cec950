"""Optimizers: their settings, and their updates as pure functions of tensors."""
