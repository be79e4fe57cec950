"""Run directories: the only code that writes, finds or reads them. No TensorFlow."""
