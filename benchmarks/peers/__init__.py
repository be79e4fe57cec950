"""What gdrun is measured beside: the same training, written the way people write it in each library.

Every peer is a class with

    __init__(quick)     prepare everything; nothing is timed
    run() -> Sample     train from the start; the training alone is timed, not import, data or results

and is driven by worker.py in a process of its own. All peers of a workload train on the same data.
"""
