"""`gdrun train CONFIG... [KEY=VALUE...]`: run experiments, a run directory each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gdrun.errors import ExitCode, GdrunError, UsageError

from . import arguments, failures, session, terminal
from .arguments import Device, Json, Plugins, Quiet, RunsDir, Targets, Threads, Verbose

if TYPE_CHECKING:
    from gdrun.experiment import LoadedConfig
    from gdrun.training.prepare import Prepared

    from .noise import Noise


def command(
    targets: Targets,
    runs_dir: RunsDir = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the run; default: the config's.")] = None,
    device: Device = None,
    threads: Threads = None,
    plugins: Plugins = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build everything, show parameters, memory and steps, run nothing.")
    ] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Run a few steps to see that it works; keep nothing.")] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Write TensorBoard's event files there while it runs."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run experiments and write a run directory for each.

    All configs are checked and built before the first one runs. The path of each run directory goes to stdout, all else
    to stderr. A run directory is a config too: training it again gives the same bits.

    Exit codes: 3 where a run diverged, 2 where a config is refused, 130 after Ctrl-C (what was recorded is saved).
    """
    configs, overrides = arguments.split(targets)
    arguments.check_name(name)
    if tensorboard is not None:
        _check_tensorboard(kept=not (smoke or dry_run))
    loaded = session.load_all(configs, overrides, device=device, plugins=plugins)
    if not quiet:
        _say_what_is_ignored(loaded, configs)
    with session.quiet() as noise:
        prepared = session.prepare_all(loaded, device=device, threads=threads, smoke=smoke)
        if dry_run:
            return _dry_run(prepared, as_json=as_json)
        options = {"runs_dir": runs_dir, "name": name, "keep": not smoke}
        talk = _Talk(quiet=quiet, verbose=verbose, as_json=as_json, tensorboard=tensorboard)
        results, codes = _train(prepared, configs, noise, options, talk)
    code = failures.worst(codes)
    if as_json:
        from .output import print_json

        print_json({"runs": results, "exit_code": int(code)})
    return code


@dataclass(frozen=True)
class _Talk:
    """Who is told of the runs, and what."""

    quiet: bool
    verbose: bool
    as_json: bool
    tensorboard: Path | None

    def listener(self) -> Any:
        """Return the listener of one run."""
        from . import progress

        shown = progress.listener(quiet=self.quiet, verbose=self.verbose)
        if self.tensorboard is None:
            return shown
        from gdrun.exports.live import TensorBoardListener

        return TensorBoardListener(self.tensorboard, shown)


def _check_tensorboard(*, kept: bool) -> None:
    """Refuse before anything is built what could not be written later."""
    from gdrun.exports.tensorboard import require_tensorboard

    if not kept:
        raise UsageError("--tensorboard shows a run, and --smoke and --dry-run keep none")
    require_tensorboard()


def _train(
    prepared: list[Prepared],
    configs: Sequence[str],
    noise: Noise,
    options: dict[str, Any],
    talk: _Talk,
) -> tuple[list[dict[str, Any]], list[int]]:
    """Run what was prepared, one after the other; return what `--json` says of each and the exit code of each."""
    from gdrun.training.train import execute

    from . import summary

    results: list[dict[str, Any]] = []
    codes: list[int] = []
    prepared.reverse()
    for config in configs:
        listener = talk.listener()
        try:
            # Popped: a finished experiment's data need not stay in memory while the others run.
            run = execute(prepared.pop(), listener=listener, log=noise.take, **options)
        except GdrunError as error:
            listener.close()
            codes.append(failures.tell(error))
            results.append({"config": config, "error": failures.describe(error)})
            continue
        finally:
            listener.close()
        codes.append(summary.exit_code(run))
        results.append({"config": config, **summary.describe(run)})
        if not talk.quiet:
            summary.show(run, verbose=talk.verbose)
        if options["keep"] and not talk.as_json:
            with suppress(terminal.OutputClosed):
                terminal.data(str(run.directory))
        if codes[-1] in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            break
    return results, codes


def _say_what_is_ignored(loaded: Sequence[LoadedConfig], configs: Sequence[str]) -> None:
    """Say in one line that expectations and sweeps are other commands' business."""
    ignored = []
    for part, name_of_command in (("expect", "check"), ("sweep", "sweep")):
        having = [name for one, name in zip(loaded, configs, strict=True) if part in one.experiment.model_fields_set]
        if having:
            # A sweep takes one config.
            names = " ".join(having if part == "expect" else having[:1])
            ignored.append((part, f"`gdrun {name_of_command} {names}`"))
    if ignored:
        parts = " and ".join(f"`{part}`" for part, _ in ignored)
        are = "are" if len(ignored) > 1 else "is"
        see = ", ".join(command for _, command in ignored)
        terminal.say(Text(f"{parts} {are} ignored by train; see {see}", "dim"))


def _dry_run(prepared: Sequence[Prepared], *, as_json: bool) -> int:
    from . import dry_run
    from .output import print_json

    plans = [dry_run.describe(one) for one in prepared]
    if as_json:
        print_json({"plans": plans})
    else:
        for plan in plans:
            dry_run.show(plan)
    return ExitCode.DONE
