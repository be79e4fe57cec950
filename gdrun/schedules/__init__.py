"""Schedules: lengths, batches, learning-rate factors and stop rules."""
