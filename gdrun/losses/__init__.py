"""Losses between predictions and targets."""
