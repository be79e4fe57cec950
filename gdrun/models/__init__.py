"""Models: parameters by name and inputs in, predictions out."""
