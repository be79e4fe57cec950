"""Hostile places: files that are none, damaged run directories, archives and tables that explode."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .case import ACCEPTED, EITHER, REFUSED, Case
from .texts import LINE, load

ID = "2026-11-23T003318-pi-7f3a"


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _link(path: Path, target: str | Path) -> Path:
    path.symlink_to(target)
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def _written(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _loop(folder: Path) -> Path:
    (folder / "a.yaml").symlink_to("b.yaml")
    return _link(folder / "b.yaml", "a.yaml")


def file_cases() -> Iterator[Case]:
    """Configs that are no regular files, and parents that lead elsewhere."""
    yield Case("a FIFO", lambda folder: load(_fifo(folder / "f.yaml")))
    yield Case("a socket", lambda folder: load(_socket(folder / "s.yaml")))
    yield Case("a directory", lambda folder: load(folder))
    yield Case("no file", lambda folder: load(folder / "nothing.yaml"))
    yield Case("a link to itself", lambda folder: load(_link(folder / "l.yaml", "l.yaml")))
    yield Case("two links to each other", lambda folder: load(_loop(folder)))
    for device in ("/dev/zero", "/dev/random", "/dev/tty", "/dev/null", "/proc/self/mem", "/proc/kmsg"):
        yield Case(f"the device {device}", lambda _, device=device: load(Path(device)))
        yield Case(f"a link to {device}", lambda folder, device=device: load(_link(folder / "x.yaml", device)))
    yield Case("a name with NUL", lambda folder: load(folder / "a\0b.yaml"))
    yield Case("a name of 5000 letters", lambda folder: load(folder / ("a" * 5000)))
    yield Case("a run directory whose config is a FIFO", lambda folder: load(_fifo(folder / "config.yaml").parent))
    for parent in (
        "../other.yaml",
        "/etc/passwd",
        "/dev/zero",
        "nothing.yaml",
        "https://example.com/a.yaml",
        "c.yaml",
        "f.yaml",
        "~/x.yaml",
        "${HOME}/x.yaml",
        "a\\0b",
        "",
        ".",
    ):
        yield Case(f"extends {parent!r}", lambda folder, parent=parent: _extends(folder, parent))
    outside = "outside the config's git checkout"
    yield Case("extends a file above the git checkout", _extends_above_checkout, says=outside)
    yield Case("extends a link that leads out of the git checkout", _extends_link_out, says=outside)
    yield Case("a long chain of parents", _chain)


def _extends(folder: Path, parent: str) -> object:
    (folder / "inner").mkdir()
    _written(folder / "other.yaml", LINE)
    _fifo(folder / "inner" / "f.yaml")
    return load(_written(folder / "inner" / "c.yaml", f'extends: "{parent}"\n' + LINE))


def _checkout(folder: Path) -> Path:
    _written(folder / "other.yaml", LINE)
    (folder / "checkout" / ".git").mkdir(parents=True)
    return folder / "checkout"


def _extends_above_checkout(folder: Path) -> object:
    return load(_written(_checkout(folder) / "c.yaml", "extends: ../other.yaml\n"))


def _extends_link_out(folder: Path) -> object:
    checkout = _checkout(folder)
    _link(checkout / "link.yaml", "../other.yaml")
    return load(_written(checkout / "c.yaml", "extends: link.yaml\n"))


def _chain(folder: Path) -> object:
    for number in range(300):
        _written(folder / f"{number}.yaml", f"extends: {number + 1}.yaml\n")
    _written(folder / "300.yaml", LINE)
    return load(folder / "0.yaml")


def _record(**changes: object) -> str:
    return json.dumps({"schema_version": 1, "id": ID, "name": "pi", "status": "completed", **changes})


def _run_directory(folder: Path, files: dict[str, bytes | str]) -> Path:
    path = folder / ID
    path.mkdir()
    for name, data in {"run.json": _record(), "config.yaml": LINE, **files}.items():
        (path / name).parent.mkdir(exist_ok=True)
        _written(path / name, data)
    return path


def look(path: Path) -> object:
    """Do with a run directory all that a reader does, then what a writer does."""
    from gdrun.rundir.run import Run
    from gdrun.rundir.store import RunStore
    from gdrun.rundir.verifying import verify

    run = Run(path)
    text = f"{run.status} {run.problem} {run!r} {run._repr_html_()}"
    assert "\x1b" not in text
    verdict = verify(run)
    assert len(verdict.problems) <= 101
    for read in (lambda: run.info, lambda: run.config, lambda: run.table, lambda: run.parameters, lambda: run.best):
        read()
    with RunStore.open(path) as store:
        store.checkpoints().load_newest()
        store.close("completed")
    return verdict


def verified(path: Path) -> object:
    """Verify a run directory that is not as it should be: it has to tell."""
    from gdrun.rundir.verifying import verify

    assert verify(path).problems, "nothing was told"
    return look(path)


def rundir(name: str, files: dict[str, bytes | str], outcome: str = REFUSED, says: str = "") -> Case:
    """A run directory with such files."""
    return Case(f"run directory: {name}", lambda folder: look(_run_directory(folder, files)), outcome, says)


def rundir_cases() -> Iterator[Case]:
    """Run directories that are damaged. They are the user's own: none is made to do harm."""
    for name, record in (
        ("nothing", ""),
        ("no JSON", "{"),
        ("a list", "[]"),
        ("NaN", _record(seconds=0).replace(": 0", ": NaN")),
        ("a key twice", '{"schema_version": 1, "schema_version": 1}'),
        ("a newer one", _record(schema_version=99)),
        ("no version", "{}"),
        ("another status", _record(status="great")),
        ("a number as status", _record(status=1)),
        ("100,000 levels", "[" * 100_000),
        ("a name that is a list", _record(name=["x"])),
        ("steps that are a text", _record(steps="many")),
        ("17 MiB", " " * (17 << 20)),
        ("an integer of 5000 digits", '{"schema_version": 1, "steps": ' + "9" * 5000 + "}"),
        ("UTF-16", _record().encode("utf-16")),
    ):
        # No damage leaves these two. Readers take NaN as such and the last of two keys; `verify` reports both.
        outcome = EITHER if name in ("NaN", "a key twice") else REFUSED
        yield rundir(f"run.json is {name}", {"run.json": record}, outcome)
    yield rundir(
        "escape sequences in its texts", {"run.json": _record(why="\x1b[31m\x07\u202e", name="\x1b]0;x\x07")}, EITHER
    )
    yield rundir("metrics of zeros", {"metrics.jsonl": b"\0" * 100_000}, EITHER)
    yield rundir("metrics of brackets", {"metrics.jsonl": b"[" * 1_000_000 + b"\n"}, EITHER)
    yield rundir(
        "metrics of one long line", {"metrics.jsonl": b'{"step": 1, "a": "' + b"x" * 10_000_000 + b'"}\n'}, EITHER
    )
    yield rundir("a step of 5000 digits", {"metrics.jsonl": b'{"step": ' + b"9" * 5000 + b"}\n"}, EITHER)
    yield rundir(
        "arrays of two shapes in a column", {"metrics.jsonl": '{"step":0,"a":[1]}\n{"step":1,"a":[[1,2]]}\n'}, EITHER
    )
    yield rundir(
        "10,000 columns", {"metrics.jsonl": "".join(f'{{"step":{n},"c{n}":1}}\n' for n in range(1500))}, EITHER
    )
    for name, make in (
        ("parameters.npz", _npz_bombs),
        ("checkpoints/step-000000000001-" + "0" * 32 + ".npz", _npz_bombs),
    ):
        for what, data in make():
            yield rundir(f"{name[:10]} that is {what}", {name: data})
    for name in ("run.json", "config.yaml", "metrics.jsonl", "parameters.npz", "checkpoints", ".lock"):
        for kind, place in (
            ("a folder", lambda path: path.mkdir() or path),
            ("a link to itself", lambda path: _link(path, path.name)),
            ("a link to nothing", lambda path: _link(path, "nothing")),
        ):
            yield Case(f"run directory: {name} is {kind}", _odd_file(name, place), EITHER)
    yield Case("run directory: it is a file", lambda folder: look(_written(folder / ID, "x")))
    yield Case("run directory: it is not there", lambda folder: look(folder / ID))


def _odd_file(name: str, place: Callable[[Path], Path]) -> Callable[[Path], object]:
    def meet(folder: Path) -> object:
        path = _run_directory(folder, {}) / name
        path.unlink(missing_ok=True)
        place(path)
        return look(path.parent)

    return meet


def _npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _npz_bombs() -> Iterator[tuple[str, bytes]]:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    yield "no zip", b"not a zip"
    yield "empty", b""
    yield "a shape without data", _zip({"a.npy": _npy(header)})
    yield (
        "objects",
        _zip({"a.npy": _npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + b"\x80\x04N."}),
    )
    yield "a compressed bomb", _zip({"a.npy": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)
    yield "a negative shape", _zip({"a.npy": _npy(header.replace(b"1000000000000", b"-1"))})
    yield "a header that calls", _zip({"a.npy": _npy(b"__import__('os').system('true')\n")})
    yield "a header of brackets", _zip({"a.npy": _npy(b"(" * 60_000)})
    yield "a member of another folder", _zip({"../../a.npy": _npy(header)})
    yield "an array twice", _twice()


def _twice() -> bytes:
    file, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a.npy", "b.npy"):
            archive.writestr(name, array.getvalue())
    return file.getvalue().replace(b"b.npy", b"a.npy")


def data_cases() -> Iterator[Case]:
    """Data files."""
    for what, data in _npz_bombs():
        outcome = EITHER if what == "an array twice" else REFUSED
        yield Case(f"data: .npz that is {what}", lambda folder, data=data: _npz(folder, data), outcome)
    tables: dict[str, bytes | str] = {
        "nothing": "",
        "a header alone": "x,y\n",
        "a short row": "x,y\n1\n",
        "a long row": "x,y\n1,2,3\n",
        "text for a number": "x,y\n1,2\na,2\n",
        "nan": "x,y\nnan,1\n",
        "1e999": "x,y\n1e999,1\n",
        "two columns of a name": "x,x\n1,2\n",
        "a quote without an end": 'x,y\n"1,2\n' + "3,4\n" * 1000,
        "a field of a megabyte": "x,y\n" + "1" * 1_000_000 + ",2\n",
        "NULs": b"x,y\n\x001,2\n",
        "latin-1": b"x,y\n\xe9,2\n",
        "UTF-16": "x,y\n1,2\n".encode("utf-16"),
        "a number of 5000 digits": "x,y\n" + "9" * 5000 + ",1\n",
        "100,000 columns without an x": ",".join(f"c{n}" for n in range(100_000)) + "\n",
        "escape sequences": "x,y\n\x1b[31m,1\n",
        "a gzip file": zlib.compress(b"x,y\n1,2\n" * 1000),
    }
    for what, table in tables.items():
        yield Case(f"data: csv that is {what}", lambda folder, table=table: _csv(folder, table))
    yield Case("data: a csv that is a FIFO", lambda folder: _read_csv(_fifo(folder / "f.csv")))
    yield Case("data: a csv that is a device", lambda _: _read_csv(Path("/dev/zero")))
    yield Case("data: a whole csv", lambda folder: _csv(folder, "x,y\n1,2\n3,4\n"), ACCEPTED)


def _npz(folder: Path, data: bytes) -> object:
    from gdrun.data.npz import NpzData

    path = _written(folder / "d.npz", data)
    return NpzData(kind="npz", path=str(path), inputs=("a",)).read(path)


def _csv(folder: Path, table: bytes | str) -> object:
    return _read_csv(_written(folder / "d.csv", table))


def _read_csv(path: Path) -> object:
    from gdrun.data.csv import CsvData

    return CsvData(kind="csv", path=str(path), inputs=("x",), target="y").read(path)


def reference_cases() -> Iterator[Case]:
    """What may stand for a run."""
    for reference in (
        "",
        "..",
        "../..",
        "/",
        "/etc",
        "~",
        "latest~99999999999999999999",
        "latest~-1",
        "*",
        "[a",
        "a\0b",
        "\x1b[31m",
        "a" * 10_000,
        ".lock",
        "x/../../y",
        "/dev/zero",
        "-rf",
    ):
        yield Case(f"run {reference[:20]!r}", lambda folder, reference=reference: _find(folder, reference))


def _find(folder: Path, reference: str) -> object:
    from gdrun.rundir.layout import find_run

    return find_run(folder, reference)


def cases() -> list[Case]:
    """Return all hostile places."""
    return [*file_cases(), *rundir_cases(), *data_cases(), *reference_cases()]
