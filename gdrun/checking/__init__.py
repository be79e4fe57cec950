"""Checking of runs and sweeps against the `expect:` of their configs."""
