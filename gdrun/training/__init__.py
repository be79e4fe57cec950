"""Training, resuming, prediction and evaluation: config in, run directory out."""
