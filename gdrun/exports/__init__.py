"""Recorded runs and trained models for other programs. TensorFlow is imported by models.py alone, where it computes.

data.py exporter.py        the table of exporters, and a row of it
tables.py tensorboard.py tracking.py wandb_runs.py      CSV and Parquet, TensorBoard's event files, MLflow, W&B
recorded.py                columns, trials and settings as these take them
live.py                    event files of a run while it trains
models.py                  the table of model formats: NumPy, Keras, SavedModel
"""
