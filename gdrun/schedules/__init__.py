"""Schedules: lengths, batches, learning-rate factors and stop rules. Another factor is a class in `factors`, and a line
in its table."""
