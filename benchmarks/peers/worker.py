"""The process of one peer: `python -m peers.worker WORKLOAD PEER [--quick]`.

Prepares, says {"ready": seconds}, then trains once for each line that it reads and answers with the Sample. Answers go
to the standard output that it was started with; whatever libraries print is sent to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import asdict
from importlib import import_module


def main(workload: str, peer: str, *options: str) -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    began = time.perf_counter()
    try:
        trainer = import_module(f"peers.{workload}").PEERS[peer]("--quick" in options)
        answer({"ready": time.perf_counter() - began})
        for _ in sys.stdin:
            sample = asdict(trainer.run())
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            answer(sample | {"megabytes": peak / 1e6})
    except ImportError as error:
        answer({"missing": str(error)})


if __name__ == "__main__":
    main(*sys.argv[1:])
