"""The machinery of configs: YAML with places, sections, messages, plugins. Nothing here imports TensorFlow."""
