"""Hostile texts: YAML that explodes, nests, repeats, points elsewhere, or is none; formulas; overrides; names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .case import ACCEPTED, EITHER, REFUSED, Case

LINE = """\
data: {kind: values, inputs: {x: [1, 2, 3]}, target: [2, 4, 6]}
model: {kind: formula, formula: a * x, parameters: {a: 1.0}}
loss: mse
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 10}
"""


def load(data: bytes | str | Path, overrides: Sequence[str] = ()) -> object:
    """Read a config as every command does."""
    from gdrun.config.rendering import render
    from gdrun.errors import ConfigError
    from gdrun.experiment.loading import load_config

    try:
        return load_config(data.encode() if isinstance(data, str) else data, overrides)
    except ConfigError as error:
        # The text that a person would see is made, too: it is where a long line or an escape would do harm.
        shown = render(error.problems, error.source)
        assert len(shown) < 50_000
        assert not any((ord(c) < 32 and c != "\n") or ord(c) == 0x202E for c in shown), "control characters are shown"
        raise


def text(name: str, data: bytes | str, outcome: str = REFUSED, says: str = "") -> Case:
    """A config that is a text."""
    return Case(name, lambda _: load(data), outcome, says)


def formula(name: str, of: str, outcome: str = REFUSED, says: str = "", **constants: str) -> Case:
    """A formula that is evaluated as a constant is, with numpy."""

    def meet(_: Path) -> object:
        from gdrun.formula.evaluate import evaluate_constants
        from gdrun.formula.parse import parse

        return evaluate_constants({name: parse(text) for name, text in {**constants, "c": of}.items()})

    return Case(f"formula: {name}", meet, outcome, says)


def override(name: str, *texts: str, outcome: str = REFUSED, says: str = "") -> Case:
    """Settings of the command line."""
    return Case(f"override: {name}", lambda _: load(LINE, texts), outcome, says)


def bomb(levels: int, width: int = 9) -> str:
    """The billion laughs."""
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    """Merge keys that double at each level."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}" for n in range(1, levels)]
    return "\n".join(lines)


def yaml_cases() -> Iterator[Case]:
    """YAML itself."""
    yield text("alias bomb", bomb(12), says="anchor|alias|&")
    yield text("merge bomb", merges(26), says="anchor|alias|merge|&")
    yield text("quadratic aliases", "a: &a [" + "x," * 3000 + "]\nb: [" + "*a," * 3000 + "]")
    yield text("recursive alias", "a: &a [*a]")
    for count in (65, 2000, 100_000):
        yield text(f"{count} levels of flow lists", "x: " + "[" * count + "]" * count)
        yield text(f"{count} levels of flow mappings", "x: " + "{a: " * count + "1" + "}" * count)
    yield text("2000 levels of block lists", "\n".join("  " * n + "-" for n in range(700)))
    yield text("levels without an end", "[" * 500_000)
    yield text("2000 levels of indentation", "\n".join(" " * n + "a:" for n in range(1200)))
    for tag in (
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!custom x",
        "!!binary aGk=",
        "!!set {a}",
        "!!float 3",
        "!<tag:yaml.org,2002:str> x",
        "!!omap [a: 1]",
    ):
        yield text(f"tag {tag.split()[0]}", LINE + f"description: {tag}\n")
    yield text("a tag directive", "%TAG ! tag:x,2000:\n---\n" + LINE)
    yield text("a version directive", "%YAML 1.1\n---\n" + LINE)
    yield text("two documents", LINE + "---\n" + LINE)
    yield text("an end and more", LINE + "...\nseed: 1\n")
    yield text("a key twice", LINE + "seed: 1\nseed: 2\n", says="twice|duplicate")
    yield text("a key twice, deep", LINE.replace("learning_rate: 0.1", "learning_rate: 0.1, learning_rate: 0.2"))
    yield text("a merge key", LINE + "<<: {seed: 1}\n")
    yield text("a list as key", LINE + "? [a, b]\n: 1\n")
    yield text("a mapping as key", LINE + "? {a: b}\n: 1\n")
    yield text("a number as key", LINE + "1: 1\n")
    yield text("null as key", LINE + "~: 1\n")
    yield text("an empty file", b"", says="empty")
    yield text("only a comment", b"# nothing\n")
    yield text("a scalar", b"just text")
    yield text("a list", b"- 1\n- 2\n")
    yield text("more than a mebibyte", LINE + "#" * (1 << 20), says="bytes")
    yield text("a line of a megabyte", LINE + "description: " + "x" * 1_000_000, EITHER)
    yield text("100,000 keys", "".join(f"k{n}: 1\n" for n in range(100_000)))
    yield text("100,000 anchors", "".join(f"k{n}: &a{n} 1\n" for n in range(60_000)))
    yield text("a quote without an end", LINE + 'description: "' + "\\\n" * 10_000)
    yield text("escapes", LINE + 'description: "' + "\\x00" * 100 + '"')
    yield text("an escaped surrogate", LINE + 'description: "\\ud800"')
    yield text("an escaped bidirectional mark", LINE + 'description: "\\u202e"', EITHER)
    yield text("an escape sequence", LINE + 'description: "\\e[31m"', EITHER)
    yield text("block scalars that indent by nine", LINE + "description: |9\n x\n")
    yield text("tabs", "data:\t{}\n\tmodel: 1\n")


def byte_cases() -> Iterator[Case]:
    """Bytes that are no text, or no honest one."""
    yield text("latin-1", LINE.encode() + b"description: caf\xe9\n", says="not UTF-8")
    yield text("UTF-16", LINE.encode("utf-16"))
    yield text("UTF-32", LINE.encode("utf-32"))
    yield text("an overlong slash", LINE.encode() + b"description: \xc0\xaf\n")
    yield text("an encoded surrogate", LINE.encode() + b"description: \xed\xa0\x80\n")
    yield text("a cut character", LINE.encode() + b"description: \xe2\x82")
    yield text("a byte order mark", b"\xef\xbb\xbf" + LINE.encode(), ACCEPTED)
    yield text("two byte order marks", b"\xef\xbb\xbf" * 2 + LINE.encode())
    for point, name in (
        (0x00, "NUL"),
        (0x07, "bell"),
        (0x1B, "escape"),
        (0x7F, "delete"),
        (0x9B, "C1 CSI"),
        (0x202E, "right-to-left"),
        (0x2066, "isolate"),
        (0x200B, "zero width"),
        (0x2028, "line separator"),
        (0xFEFF, "a mark inside"),
        (0xFFFF, "a non-character"),
        (0xE0041, "a tag character"),
    ):
        yield text(f"character {name}", LINE + f"description: a{chr(point)}b\n")
    yield text("a gzip file", b"\x1f\x8b\x08\x00" + bytes(range(256)))
    yield text("a pickle", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.")
    yield text("a zip file", b"PK\x03\x04" + b"\x00" * 100)
    yield text("a million NULs", b"\x00" * 1_000_000)
    yield text("a million newlines", b"\n" * 1_000_000)
    yield text("a million dashes", b"-" * 1_000_000)
    yield text("a million colons", b"a: " * 300_000)
    yield text("a million brackets", b"}" * 1_000_000)


def number_cases() -> Iterator[Case]:
    """Values that are no numbers, or none that the precision holds."""
    for value in (
        ".nan",
        ".inf",
        "-.inf",
        "1e999",
        "-1e999",
        "nan",
        "0x7fffffffffffffffffffffffff",
        "yes",
        "1_000",
        "0o777777777777777777777777",
        "12:30:45",
        "''",
        "[0.1]",
        "{a: 1}",
        "1e-400000000000",
    ):
        yield text(
            f"learning rate {value}", LINE.replace("0.1", value), EITHER if value == "1e-400000000000" else REFUSED
        )
    for value in ("-1", "1e400", "9" * 5000, "1.5", "true", "null", "1e30", "-0.5", "'10'"):
        yield text(f"steps {value[:20]}", LINE.replace("steps: 10", f"steps: {value}"))
    yield text("seed beyond 32 bits", LINE + "seed: 4294967296\n")
    yield text("negative seed", LINE + "seed: -1\n")
    yield text("a number of 100,000 digits", LINE.replace("0.1", "1" * 100_000))
    yield text("a fraction of 100,000 digits", LINE.replace("0.1", "0." + "1" * 100_000), EITHER)
    yield text("float32 cannot hold it", LINE.replace("a: 1.0", "a: 1e39"), EITHER)
    yield text("ragged numbers", LINE.replace("[1, 2, 3]", "[1, [2], 3]"))


def formula_cases() -> Iterator[Case]:
    """Formulas that import, loop, grow or ask for a machine."""
    for name in (
        "__import__('os')",
        "().__class__",
        "a.b",
        "lambda: 1",
        "[x for x in a]",
        "f'{a}'",
        "'text'",
        "open(1)",
        "eval(1)",
        "exec(1)",
        "a if b else c",
        "x := 1",
        "print(1)",
        "*a",
        "a; b",
        "a = 1",
        "`a`",
        "a ? b",
        "\\",
        "getattr(a, b)",
        "globals()",
        "{1: 2}",
        "{1}",
        "await a",
        "yield a",
        "...",
        "a!",
        "1 if 1",
        "not",
        "@",
        "0xZZ",
        "1__0",
        "№",
        "ａ*x",
        "a\u202eb",
        "pi = 3",
    ):
        yield text(f"formula {name}", LINE.replace("formula: a * x", f"formula: {name!r}"))
    yield formula("100,000 brackets", "(" * 100_000)
    yield formula("100,000 additions", "+".join(["1"] * 100_000))
    yield formula("100,000 minus signs", "-" * 100_000 + "1")
    yield formula("100,000 characters", "x" * 100_000)
    yield formula("a tower of powers", "9**9**9**9**9")
    yield formula("a tower of powers by brackets", "(((9**9)**9)**9)**9", EITHER)
    yield formula("90 powers", "2**" * 90 + "2")
    yield formula("a factorial by powers", "10**10**10")
    yield formula("0 to a negative power", "0**(-1)")
    yield formula("0 / 0", "0/0")
    yield formula("the logarithm of 0", "log(0)")
    yield formula("exp of 1e9", "exp(1e9)")
    for call in (
        "linspace(0, 1, 1e12)",
        "zeros(1e12)",
        "ones([1e6, 1e6])",
        "eye(1e7)",
        "range(1e15)",
        "range(0, 1, 1e-15)",
        "one_hot(range(1e6), 1e6)",
        "reshape(zeros(10), [1e9, 1e9])",
        "logspace(0, 1, 1e13)",
        "outer(range(1e5), range(1e5))",
        "uniform(0, 1, 1e12)",
        "normal(0, 1, [1e7, 1e7])",
        "zeros(-1)",
        "zeros(1.5)",
        "eye(1e308)",
        "linspace(0, 1, -5)",
        "zeros([1e3, 1e3, 1e3, 1e3])",
        "range(1e5) + reshape(range(1e5), [1e5, 1])",
        "kron(eye(1e3), eye(1e3))",
    ):
        yield formula(call, call)
    tower = "concat([" + ", ".join(["a"] * 200) + "], 0)"
    yield formula("an array of a million 200 times", tower, says="200,000,000 elements", a="zeros(1e6)")
    yield formula("an index beyond the end", "range(3)[7]")
    yield formula("an index of 10**400", "range(3)[1e400]")
    yield formula("a slice by 0", "range(3)[::0]")
    yield formula("the inverse of nothing", "inverse(zeros([3, 3]))")
    yield formula("a division of integers by 0", "1 // 0")


def override_cases() -> Iterator[Case]:
    """What a command line may say."""
    for name in (
        "",
        "=",
        "=1",
        "a",
        "..=1",
        ".=1",
        "optimizer.=1",
        "optimizer..learning_rate=1",
        "nothing=1",
        "model.parameters.a.b.c.d=1",
        "data.inputs.x.99999999999=1",
        "data.inputs.x.-1=1",
        "optimizer.__class__=1",
        "__init__=1",
        "schedule.steps.real=1",
        "extends=/etc/passwd",
        "extends=../../../../etc/passwd",
        "lr=!!python/name:os.system",
        "lr=&a 1",
        "lr=*a",
        "lr=[",
        "lr={",
        "lr=1\nseed: 2",
        "lr=\x1b[31m",
        "lr=" + "[" * 5000,
        "lr=" + "9" * 100_000,
        "lr=nan",
        "lr=1e999",
        "k" * 100_000 + "=1",
        ".".join(["a"] * 10_000) + "=1",
        "model={kind: custom, name: os.system}",
        "loss={kind: custom, name: x}",
        "name=../../x",
        "name=" + "a" * 65,
        "name=A B",
        "name=.hidden",
        "name=a/b",
        "data.path=/dev/zero",
    ):
        yield override(repr(name[:40]), name)
    yield override("one setting twice", "lr=1", "lr=2")
    yield override("many settings", *[f"constants.a{n}=1" for n in range(1000)], outcome=EITHER)


def cases() -> list[Case]:
    """Return all hostile texts."""
    return [*yaml_cases(), *byte_cases(), *number_cases(), *formula_cases(), *override_cases()]
