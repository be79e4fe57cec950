"""Throw mutated configs, overrides and formulas at what reads them; only gdrun's own refusals may come out.

    python scripts/fuzz.py --seconds 600 --seed 1

bytes -> loader -> schema -> checks of formulas, as every command does it, without TensorFlow. Inputs are made from the
shipped configs and the hostile inputs of tests/attacks by cutting, doubling, swapping and spelling anew; what makes
the reader go where none went before (a line of gdrun's that had not run) is kept and mutated further. An input that
ends in anything but a refusal, takes two seconds of processor time, or changes what it means when it is read again from
its own resolved text is written to --keep and ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gdrun.config.rendering import render  # noqa: E402
from gdrun.errors import ConfigError, GdrunError  # noqa: E402
from gdrun.experiment.loading import load_config  # noqa: E402

SECONDS = 2.0
_WORDS = (
    *("data:", "model:", "optimizer:", "schedule:", "loss:", "define:", "record:", "checkpoint:", "sweep:", "expect:"),
    *(
        "kind:",
        "formula:",
        "parameters:",
        "extends:",
        "- ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "|\n",
        ">\n",
    ),
    *(
        "1e999",
        ".nan",
        ".inf",
        "-0",
        "0x10",
        "null",
        "true",
        "~",
        "''",
        '"\\u202e"',
        "9" * 40,
        "1e-400",
        "\t",
        "\r\n",
        "---\n",
    ),
    *(
        "grad(x)",
        "linspace(0, 1, 1e12)",
        "2**2**2",
        "x @ x.T",
        "a[1:2]",
        "sum(",
        ")",
        "'",
        '"',
        "#",
        "%",
        "@",
        "`",
        "\\",
    ),
    *(
        "normal(0, 1, [3, 2])",
        "where(x > 0, x, 1/x)",
        "lambda: 0",
        "__class__",
        "step",
        "epoch",
        "\x00",
        "\ufeff",
        "\U0001f600",
    ),
)


class Coverage:
    """Which lines of gdrun have run. A line that has run once is not watched any more, so that it costs little."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int]] = set()
        self.new = 0

    def __enter__(self) -> Coverage:
        self.new = 0
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if "/gdrun/" in frame.f_code.co_filename else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        place = (frame.f_code, frame.f_lineno)
        if place not in self.seen:
            self.seen.add(place)
            self.new += 1
        return self._line


def seeds() -> list[bytes]:
    """Return what mutations begin with."""
    from tests.attacks.texts import LINE

    found = [path.read_bytes() for path in sorted((ROOT / "configs").rglob("*.yaml"))]
    return [LINE.encode(), *(data for data in found if len(data) < 6000)]


def mutated(data: bytes, pool: list[bytes], draw: random.Random) -> bytes:
    """Return `data`, changed in one to four places."""
    made = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randint(0, len(made)) for _ in range(2))
        to = min(to, at + draw.choice((1, 4, 20, 200)))
        other = draw.choice(pool)
        start = draw.randint(0, len(other))
        made[at : draw.choice((at, to))] = draw.choice(
            (
                draw.choice(_WORDS).encode(),
                draw.randbytes(draw.randint(1, 3)),
                bytes(made[at:to]) * draw.randint(0, 4),
                other[start : start + draw.choice((5, 50, 500))],
                b"\n" + b" " * draw.randint(0, 6),
            )
        )
    return bytes(made[:60_000])


def tried(data: bytes, overrides: list[str]) -> str:
    """Return what came of an input: "accepted", "refused", or what is wrong."""
    began = time.process_time()
    try:
        loaded = load_config(data, overrides)
        outcome = "accepted"
        text = loaded.resolved_text()
        if load_config(text.encode()).resolved_text() != text:
            return "another experiment when it is read again"
    except ConfigError as error:
        outcome = "refused"
        if len(render(error.problems, error.source)) > 50_000:
            return "a text without end"
    except GdrunError as error:
        outcome = "refused" if int(error.exit_code) == 2 else f"exit code {int(error.exit_code)}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return outcome if time.process_time() - began < SECONDS else "slow"


def inputs(draw: random.Random, pool: list[bytes]) -> Iterator[tuple[bytes, list[str]]]:
    """Yield (config, overrides) without end."""
    while True:
        data = draw.choice(pool)
        texts = draw.choice(
            ([], [], ["lr=0.1"], [mutated(b"optimizer.learning_rate=0.1", pool, draw).decode("utf-8", "replace")[:500]])
        )
        yield (mutated(data, pool, draw) if draw.random() < 0.9 else data), texts


def fuzz(
    *, seconds: float, seed: int, keep: Path | None = None, at_most: int | None = None
) -> tuple[Counter[str], list[str]]:
    """Return how often each outcome came, and what was wrong."""
    draw, pool, coverage = random.Random(seed), seeds(), Coverage()
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    ends = time.monotonic() + seconds
    for number, (data, overrides) in enumerate(inputs(draw, pool)):
        if time.monotonic() > ends or number == at_most:
            break
        # Tracing makes reading ten times slower: every fourth input is traced.
        if number % 4:
            outcome = tried(data, overrides)
        else:
            with coverage:
                outcome = tried(data, overrides)
            outcome = "refused" if outcome == "slow" else outcome
            if coverage.new:
                pool.append(data)
        counts[outcome if outcome in ("accepted", "refused") else "wrong"] += 1
        if outcome not in ("accepted", "refused"):
            wrong.append(f"{outcome} (input {number}, overrides {overrides!r})")
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"seed-{seed}-{number}.yaml").write_bytes(data)
    counts["lines"] = len(coverage.seen)
    counts["pool"] = len(pool)
    return counts, wrong


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    counts, wrong = fuzz(seconds=options.seconds, seed=options.seed, keep=options.keep)
    print(f"seed {options.seed}: {dict(counts)}")
    for text in wrong:
        print(text)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
