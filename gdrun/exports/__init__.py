"""What runs recorded, for other programs: tables, TensorBoard, MLflow. Nothing here imports TensorFlow.

data.py                    runs -> files, by format
flat.py                    a run's rows and a sweep's trials as columns of plain numbers
tables.py                  CSV and Parquet
events.py tensorboard.py live.py    TensorBoard's event files: a file, a run, a run that goes on
tracking.py                MLflow
hyperparameters.py         which settings describe a run
"""
