"""Metrics reported beside the loss."""
