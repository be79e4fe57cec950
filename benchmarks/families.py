"""How fast gdrun trains every family of models, beside its peers in the same run.

    python benchmarks/families.py [--only cnn,lstm] [--rounds N] [--quick] [--processor] [--json FILE]

Prints a table a family: microseconds a step (of a sweep, a step of a trial), the ratio to gdrun's own choice, seconds
of the first training, which compiles, seconds before it (imports, data, building), peak memory, and how gdrun ran it;
below it the peak that is aimed at: that of importing TensorFlow, and three times data and state. Then all aims.
"gdrun" is what gdrun chooses; the other rows of gdrun are the alternatives. Every peer has its own process, of which
one trains at a time; repetitions of all peers alternate; numbers are medians. Needs the `bench` extra; a peer whose
library is missing is left out and said so.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from measure import Measured, measure_peers, peak_megabytes
from peers.families import FAMILIES, PEERS
from training import Aim, machine, table


def measure(name: str, *, rounds: int, quick: bool, clock: str) -> dict[str, Measured]:
    """Return what each peer of a family took, by its name."""
    keys = [key for key in PEERS if key.partition("/")[0] == name]
    measured = measure_peers("families", keys, rounds=rounds, quick=quick)
    for result in measured.values():
        result.clock = clock
    return {key.partition("/")[2]: result for key, result in measured.items()}


def allowed_megabytes(measured: dict[str, Measured], imports: float) -> float:
    """Return the peak memory that is aimed at; `imports` is that of importing TensorFlow."""
    return imports + 3 * measured["gdrun"].samples[-1]["held_bytes"] / 1e6


def show(name: str, measured: dict[str, Measured], imports: float) -> None:
    """Print the table of a family."""
    own = measured["gdrun"].microseconds
    rows = []
    for peer, result in measured.items():
        if result.samples:
            low, high = result.spread
            last = result.samples[-1]
            rows.append(
                (
                    peer,
                    f"{result.microseconds:,.3g}",
                    f"{low:,.3g} to {high:,.3g}",
                    f"{result.microseconds / own:.3g}",
                    f"{result.first_seconds:.2f}",
                    f"{result.ready_seconds:.2f}",
                    f"{last['megabytes']:.0f}",
                    str(last.get("chose") or ""),
                )
            )
    head = ("peer", "us a step", "range", "times gdrun", "first, s", "before, s", "MB", "ran as")
    print(f"## {name}\n\n{table(head, rows)}", flush=True)
    print(
        f"Aimed at: {allowed_megabytes(measured, imports):.0f} MB, of which {imports:.0f} for importing TensorFlow.\n"
    )
    for peer, result in measured.items():
        if result.missing:
            print(f"{peer} was left out: {result.missing}\n")


def aims(name: str, measured: dict[str, Measured], imports: float) -> list[Aim]:
    """Return the ratios that are aimed at, of the peers that there are."""
    peak = measured["gdrun"].samples[-1]["megabytes"] / allowed_megabytes(measured, imports)
    times = {peer: result.microseconds for peer, result in measured.items() if result.samples}
    own = times["gdrun"]

    def ratio(peer: str, bound: float) -> list[Aim]:
        return [Aim(f"{name}: gdrun / {peer}", own / times[peer], bound, False)] if peer in times else []

    others = [value for peer, value in times.items() if peer.startswith("gdrun, ") and "rows" not in peer]
    result = [Aim(f"{name}: gdrun / the best alternative", own / min(others), 1.15, False)]
    result += ratio("Keras fit", 0.2 if own < 1000 else 1.0) + ratio("JAX + optax", 0.8 if name == "mlp" else 1.0)
    result += ratio("gdrun, no rows", 1.1)
    loops = [times[peer] for peer in ("bare loop, graph", "bare loop, xla") if peer in times]
    result += [Aim(f"{name}: gdrun / the bare loop", own / min(loops), 1.15, False)] if loops else []
    return [*result, Aim(f"{name}: peak memory / that of the import and 3 times data and state", peak, 1.0, False)]


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(FAMILIES), metavar="FAMILY,...")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--quick", action="store_true", help="an eighth of the steps: shows that it works, no more")
    parser.add_argument(
        "--processor", action="store_true", help="compare processor time: for a machine with other work"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample")
    options = parser.parse_args()
    clock = "processor" if options.processor else "seconds"
    if unknown := set(options.only) - set(FAMILIES):
        parser.error(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    what = f"Medians of {options.rounds} rounds of {'processor' if options.processor else 'wall-clock'} time"
    print(f"# Families of models\n\n{machine()}\n\n{what}{', few steps' * options.quick}.\n", flush=True)
    results: list[Aim] = []
    raw: dict[str, Any] = {"machine": machine()}
    # As gdrun imports it: without what Keras and TensorFlow import for parts that it does not use.
    imported = "from gdrun.engine.device import import_tensorflow; import_tensorflow()"
    imports = peak_megabytes([sys.executable, "-c", imported])
    for name in options.only:
        measured = measure(name, rounds=options.rounds, quick=options.quick, clock=clock)
        show(name, measured, imports)
        results += aims(name, measured, imports)
        raw[name] = {peer: vars(result) for peer, result in measured.items()}
    print("## Aims\n")
    print(table(("ratio", "aim", "measured", ""), [aim.row() for aim in results]))
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    main()
