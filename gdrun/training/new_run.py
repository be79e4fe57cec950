"""First content of the directory of a run or a sweep: run.json, the config, the sources that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdrun.experiment.dump import plain
from gdrun.experiment.loading import LoadedConfig
from gdrun.rundir import layout
from gdrun.rundir.environment import PACKAGES, describe_environment
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore

from .listener import Listener
from .phases import PhaseRecord
from .prepare import Prepared, plugin_hashes, used_plugins


@contextmanager
def new_run(
    runs_dir: str | Path | None,
    name: str,
    prepared: Prepared,
    listener: Listener,
    *,
    command: Sequence[str] | None,
    config: str | None = None,
    **more: Any,
) -> Iterator[RunStore]:
    """Make the directory of a run or a sweep with its first files; the block trains into it and closes it.

    Args:
        runs_dir: where it is made; None: $GDRUN_RUNS or "runs".
        prepared, command, config, more: as for `run_info`.
    Raises:
        RunDirectoryError: the disk refused.
    """
    fields = run_info(prepared, command, config=config, **more)
    with RunStore.create(layout.root_of(runs_dir), name, **fields) as store:
        write_first_files(store, prepared, listener, config)
        yield store


def run_info(
    prepared: Prepared,
    command: Sequence[str] | None,
    *,
    config: str | None = None,
    packages: Sequence[str] = PACKAGES,
    **more: Any,
) -> dict[str, Any]:
    """Return the content of run.json before the first step.

    Args:
        prepared: the run; or the config of a sweep, with one of its trials built.
        command: the command line; None: `sys.argv`.
        config: the text of config.yaml; None: as it is resolved.
        packages: whose versions are recorded.
        more: further fields.
    """
    from gdrun.engine.device import num_threads

    built, loaded = prepared.built, prepared.loaded
    experiment = loaded.experiment
    extra = {
        "total_steps": prepared.last.built.total_steps,
        "steps_per_epoch": built.steps_per_epoch,
        "num_parameters": built.num_parameters,
        "compile_why": built.engine.reason,
    }
    settings = flatten(plain(experiment))
    return {
        **describe_environment(command=command, packages=packages),
        "description": experiment.description or None,
        "device": prepared.device.description,
        "threads": num_threads(),
        "precision": experiment.precision,
        "compile": built.compile,
        "seeds": experiment.seeds.model_dump() if "seed.data" in settings else {"seed": experiment.seed},
        "config_hash": hashlib.sha256((loaded.resolved_text() if config is None else config).encode()).hexdigest(),
        "settings": settings,
        "plugins": plugin_hashes(loaded),
        "data": dict(built.files),
        "warnings": _warnings(prepared),
        "phases": PhaseRecord().begun if prepared.phases else (),
        "extra": extra,
        **more,
    }


def write_first_files(store: RunStore, prepared: Prepared, listener: Listener, config: str | None = None) -> None:
    """Write config.yaml, which runs again, and source/, which was written; then give the warnings of building.

    Args:
        prepared, config: as for `run_info`.
    """
    loaded = prepared.loaded
    store.write_text(layout.CONFIG, loaded.resolved_text() if config is None else config)
    for number, (name, data) in enumerate(loaded.files):
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name.rpartition("/")[2]).lstrip(".")
        stem, suffix = f"{number}-" if number else "", "" if safe.endswith((".yaml", ".yml")) else ".yaml"
        # Of stdin and of the gallery, too: readers know a config by its suffix.
        store.write_bytes(f"{layout.SOURCE}/{stem}{safe or 'config'}{suffix}", data)
    _write_plugins(store, loaded)
    if loaded.overrides:
        store.write_text(f"{layout.SOURCE}/overrides.txt", "".join(f"{line}\n" for line in loaded.overrides))
    warn(store, listener, (*_warnings(prepared), *store.warnings))


def _warnings(prepared: Prepared) -> tuple[str, ...]:
    """Return the warnings of building a run and its phases, each once."""
    return tuple(dict.fromkeys(text for phase in (prepared, *prepared.phases) for text in phase.built.warnings))


def warn(store: RunStore, listener: Listener, messages: Iterable[str]) -> None:
    """Write warnings into log.txt and give them to the listener."""
    for message in messages:
        store.log(f"warning: {message}")
        listener.warned(message)


def _write_plugins(store: RunStore, loaded: LoadedConfig) -> None:
    """Copy the sources of the plugins that the config uses into the run directory."""
    taken: set[str] = set()
    for number, plugin in enumerate(used_plugins(loaded)):
        for name, data in plugin.files:
            safe = "".join(c if c.isalnum() or c in "._-/" else "_" for c in name).lstrip("./")
            if safe in taken:
                safe = f"{number}-{safe}"
            taken.add(safe)
            store.write_bytes(f"{layout.PLUGINS}/{safe}", data)
