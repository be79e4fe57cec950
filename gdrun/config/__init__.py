"""What a user may write, and how text becomes it. Nothing here imports TensorFlow."""
