"""The experiment that a config describes: its sections, checks between them, reading and writing. No TensorFlow."""
