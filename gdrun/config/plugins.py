"""Plugins of `--plugin FILE_OR_MODULE`: loading them, and checking the options that configs give to their parts.

Plugins are the only code that gdrun runs and does not ship. A plugin is a Python file, or a module that Python can
import. A file is identified by the hash of its bytes, and its folder is not searched for others; a package by the
hashes of all its Python files.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from gdrun import plugin as registry
from gdrun.errors import GdrunError, PluginError, Problem, ResourceError, UsageError
from gdrun.extras import install_hint
from gdrun.plugin import Part, Registration
from gdrun.suggest import closest, did_you_mean
from gdrun.text import safe_text

from .files import read_regular_file
from .messages import reword
from .section import refusal

MAX_BYTES = 8 << 20
"""Size limit of one file of a plugin."""

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Plugin:
    """A plugin that was loaded.

    Args:
        name: the file's absolute path, or the module.
        digest: SHA-256 of the file; of a package, of the names and hashes of its files.
        files: (name, bytes) of each file, names relative, with `/`.
        registrations: the parts that it registers, in order.
    """

    name: str
    digest: str
    files: tuple[tuple[str, bytes], ...]
    registrations: tuple[Registration, ...]

    @property
    def short(self) -> str:
        """Its name in messages."""
        return safe_text(os.path.basename(self.name), limit=80)


@dataclass(frozen=True)
class Entry:
    """A part that a config names: a registration and its plugin. When it is unpickled, the plugin is loaded there."""

    plugin: Plugin
    registration: Registration

    def __str__(self) -> str:
        return f"{self.registration} of {self.plugin.short}"

    def options(self, given: Mapping[str, Any]) -> Any:
        """Return the options as the plugin's own model holds them; None where it has none.

        Raises:
            pydantic.ValidationError: the model refuses them; unknown keys are refused, too.
        """
        model = self.registration.options
        return None if model is None else validated(model, given)

    def complete(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the options with their defaults, where these read back to the same; else as they were given.

        Raises:
            PydanticCustomError: with every mistake, in the words of configs.
        """
        if problems := list(_option_problems(self, given)):
            raise refusal(*problems)
        options = self.options(given)
        if options is None:
            return {}
        try:
            complete = options.model_dump(mode="json", by_alias=True)
            return complete if self.options(complete) == options else given
        except Exception:  # a plugin's model may hold what has no JSON form
            return given

    def call(self, *arguments: Any, options: Any) -> Any:
        """Call the registered function; `options` as `self.options` returned them."""
        named = {} if self.registration.options is None else {"options": options}
        return self.registration.function(*arguments, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        # The function is code: the other process finds it by its name in the plugin that it loads itself.
        registration = self.registration
        return _load_entry, (self.plugin.name, self.plugin.digest, registration.part, registration.name)


@dataclass(frozen=True)
class Plugins:
    """All plugins of one command, and their parts by name."""

    loaded: tuple[Plugin, ...] = ()

    def find(self, part: Part, name: str) -> Entry | None:
        """Return the part that is registered as `name`, or None."""
        return next((entry for entry in self.entries(part) if entry.registration.name == name), None)

    def names(self, part: Part) -> list[str]:
        """Return the names that are registered for a part."""
        return [entry.registration.name for entry in self.entries(part)]

    def entries(self, part: Part) -> Iterator[Entry]:
        """Yield what is registered for a part."""
        for plugin in self.loaded:
            yield from (Entry(plugin, item) for item in plugin.registrations if item.part == part)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (tuple((plugin.name, plugin.digest) for plugin in self.loaded),)


NO_PLUGINS = Plugins()

_LOADED: dict[str, Plugin] = {}
"""Digest of a file, or name of a module -> plugin: a plugin's code is run only once a process."""


Output = Callable[[str], None]
PluginSources = Plugins | Sequence[str | os.PathLike[str]]


def load_plugins(sources: PluginSources, *, output: Output | None = None) -> Plugins:
    """Load plugins.

    Args:
        sources: each a path (it ends in .py, or has a slash) or the name of a module.
        output: is called with the text that plugins print while they are loaded; default: print to stderr.
    Raises:
        UsageError: there is no such file or module.
        PluginError: it cannot be loaded, registers nothing, or a name is registered twice.
        ResourceError: it imports TensorFlow, which is not installed.
    """
    if isinstance(sources, Plugins):
        return sources
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    loaded: dict[str, Plugin] = {}
    for source in sources:
        plugin = _load(os.fspath(source), output or _to_stderr)
        loaded.setdefault(plugin.digest, plugin)
    plugins = Plugins(tuple(loaded.values()))
    seen: dict[tuple[str, str], str] = {}
    for plugin in plugins.loaded:
        for item in plugin.registrations:
            # A file that was loaded before under another path still has that path in its code objects.
            place = f"{safe_text(plugin.name if plugin.name.endswith('.py') else item.file)}:{item.line}"
            if (item.part, item.name) in seen:
                message = f"{item} is registered twice: {seen[item.part, item.name]} and {place}"
                raise PluginError(message, hint="give one of them another name")
            seen[item.part, item.name] = place
    return plugins


def _load(source: str, output: Output) -> Plugin:
    if source.endswith(".py") or "/" in source or os.sep in source:
        return _load_file(Path(os.path.abspath(source)), source, output)
    if not _MODULE.fullmatch(source):
        raise UsageError(f"'{safe_text(source, limit=100)}' is neither a Python file nor a module's name")
    return _load_module(source, output)


def _load_file(path: Path, written: str, output: Output) -> Plugin:
    data = _read(path, written)
    digest = _sha256(data)
    plugin = _LOADED.get(digest)
    if plugin is None:
        module = types.ModuleType(f"gdrun_plugin_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{digest[:12]}")
        module.__file__ = str(path)
        with _executing(written, str(path), module.__name__, output):
            # dataclasses, pydantic and pickle look for a class's module in sys.modules.
            sys.modules[module.__name__] = module
            exec(compile(data, str(path), "exec", dont_inherit=True), module.__dict__)
        plugin = _registering(Plugin(str(path), digest, ((path.name, data),), registry.registered(module.__name__)))
        _LOADED[digest] = plugin
    return replace(plugin, name=str(path))


def _read(path: Path, written: str) -> bytes:
    data = read_regular_file(path, f"the plugin {safe_text(written)}", limit=MAX_BYTES, endings=(".py",))
    if len(data) > MAX_BYTES:
        raise UsageError(f"the plugin {safe_text(written)} has more than {MAX_BYTES:,} bytes")
    return data


def _load_module(name: str, output: Output) -> Plugin:
    with _executing(name, "", name, output):
        spec = importlib.util.find_spec(name) if _has_parent(name) else None
    if spec is None:
        here = Path(*name.split(".")).with_suffix(".py")
        hint = f"the file here is ./{here}" if here.is_file() else "a file's path ends in .py"
        raise UsageError(f"there is no module '{safe_text(name, limit=100)}' for --plugin", hint=hint)
    files = _files(spec)
    # A module of one file has the hash of that file, so that a run's own copy of it is the same plugin.
    digest = (
        _sha256(files[0][1])
        if len(files) == 1
        else _sha256("".join(f"{path}\0{_sha256(data)}\n" for path, data in files).encode())
    )
    plugin = _LOADED.get(name)
    if plugin is None:
        with _executing(name, spec.origin or "", name, output):
            importlib.import_module(name)
        plugin = _LOADED[name] = _registering(Plugin(name, digest, files, registry.registered(name)))
    if plugin.digest != digest:
        raise PluginError(f"the plugin {name} has changed since it was imported", hint="start a new process")
    return plugin


def _has_parent(name: str) -> bool:
    parent = name.rpartition(".")[0]
    return not parent or (_has_parent(parent) and importlib.util.find_spec(parent) is not None)


def _files(spec: Any) -> tuple[tuple[str, bytes], ...]:
    """Return the sources of a module, (name, bytes); of a package, every Python file below its folder."""
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    leaf = spec.name.rpartition(".")[2]
    paths = {f"{leaf}/{path.relative_to(folder)}": path for folder in folders for path in sorted(folder.rglob("*.py"))}
    if not folders and spec.origin and spec.origin.endswith(".py"):
        paths[f"{leaf}.py"] = Path(spec.origin)
    if not paths:
        raise PluginError(f"the plugin {spec.name} has no Python source that could be recorded")
    return tuple((name, _read(path, str(path))) for name, path in paths.items())


def _registering(plugin: Plugin) -> Plugin:
    if not plugin.registrations:
        raise PluginError(
            f"the plugin {safe_text(plugin.name)} registers nothing",
            hint='import gdrun.plugin as gd; @gd.loss("my_loss") before a function gives it a name',
        )
    return plugin


@contextlib.contextmanager
def _executing(written: str, file: str, module: str, output: Output) -> Iterator[None]:
    """Run a plugin's code: pass on its output to `output`, and raise its errors as PluginErrors with their lines."""
    printed = io.StringIO()
    # The plugin may be the first to import TensorFlow and Keras, which read these when they start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        registry.forget(module)
        sys.modules.pop(module, None)
        if isinstance(error, ModuleNotFoundError) and error.name in ("tensorflow", "keras"):
            raise ResourceError(
                f"the plugin {safe_text(written)} needs the package {error.name}, which is not installed",
                hint=install_hint("tensorflow"),
            ) from error
        what = f"the plugin {safe_text(written)} cannot be loaded: {describe_failure(error, file)}"
        raise PluginError(what, hint=error.hint if isinstance(error, GdrunError) else None) from error
    finally:
        if text := printed.getvalue().strip():
            output(text)


def describe_failure(error: BaseException, file: str = "") -> str:
    """Return the message of an error of plugin code, with its line in `file` where it has one."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == file:
        line = error.lineno
    text = safe_text(error.msg if isinstance(error, SyntaxError) else error, limit=600, lines=True)
    kind = "" if isinstance(error, GdrunError) else f"{type(error).__name__}: "
    return f"{f'line {line}: ' if line else ''}{kind}{text}"


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _load_entry(plugin: str, digest: str, part: Part, name: str) -> Entry:
    """Return an unpickled entry, its plugin loaded in this process."""
    entry = _load_again(((plugin, digest),)).find(part, name)
    assert entry is not None, "the same code registers the same names"
    return entry


def _load_again(sources: Sequence[tuple[str, str]]) -> Plugins:
    """Return unpickled plugins, loaded by name in this process. Raises: PluginError, where a digest differs."""
    plugins = load_plugins([name for name, _ in sources])
    digests = {plugin.name: plugin.digest for plugin in plugins.loaded}
    for name, digest in sources:
        if digests.get(name) != digest:
            raise PluginError(f"the plugin {safe_text(name)} has changed since this was started")
    return plugins


_INTEGER_ERRORS = ("int_type", "int_from_float")


def validated(model: Any, given: Mapping[str, Any]) -> Any:
    """Return an instance of a pydantic model, checked as strictly as gdrun's own sections.

    Args:
        model: the class.
        given: as in a config: mappings, lists or tuples, texts, numbers, truth values, null.
    Raises:
        pydantic.ValidationError: with every value that does not fit and every unknown key.
    """
    values = json.loads(json.dumps(given))
    try:
        return _strictly(model, values)
    except ValidationError as error:
        # YAML reads 1e4 as a float; where an integer is meant, a float without a fraction is one, as everywhere.
        wrong = [item["loc"] for item in error.errors(include_url=False) if item["type"] in _INTEGER_ERRORS]
        mended = [_make_integer(values, place) for place in wrong]
        if not any(mended):
            raise
    return _strictly(model, values)


def _strictly(model: Any, values: Any) -> Any:
    # From JSON, where strict models accept a list for a tuple; extra=, so that no key is overlooked.
    return model.model_validate_json(json.dumps(values), strict=True, extra="forbid")


def _make_integer(values: Any, place: tuple[Any, ...]) -> bool:
    """Replace 1e4 by 10000 in place; return whether there was such a float."""
    try:
        for step in place[:-1]:
            values = values[step]
        value = values[place[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    if not isinstance(value, float) or not value.is_integer() or abs(value) >= 2**63:
        return False
    values[place[-1]] = int(value)
    return True


def _option_problems(entry: Entry, options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the options that a config gives to a plugin's part, their paths from `options`."""
    if entry.registration.options is None:
        for name in options:
            yield Problem(f"unknown key '{name[:64]}': {entry} takes no options", (name,), key=True)
        return
    try:
        entry.options(options)
    except ValidationError as error:
        yield from _worded(error.errors(include_url=False), entry)
    except (TypeError, ValueError) as error:
        yield Problem(f"{entry} cannot take these options: {error}"[:600], key=True)


def _worded(errors: list[Any], entry: Entry) -> Iterator[Problem]:
    """Yield pydantic's errors as problems; an unknown key and the missing key that it misspells give one problem."""
    model, misspelt = entry.registration.options, set()
    missing = [error["loc"] for error in errors if error["type"] == "missing"]
    for error in errors:
        if error["type"] == "extra_forbidden":
            above, name = error["loc"][:-1], str(error["loc"][-1])
            meant = closest(name, [loc[-1] for loc in missing if loc[:-1] == above])
            misspelt.add((*above, meant))
            hint = did_you_mean(name, [meant] if meant else _fields(_model_at(model, above)), allowed="allowed")
            yield Problem(f"unknown key '{name[:64]}' in the options of {entry}", error["loc"], hint, key=True)
    for error in errors:
        if error["type"] == "missing" and error["loc"] not in misspelt:
            hint = _description(model, error["loc"])
            yield Problem(f"'{error['loc'][-1]}' is missing in the options of {entry}", error["loc"], hint)
        elif error["type"] not in ("missing", "extra_forbidden"):
            message, hint = reword(error["type"], error.get("ctx") or {}, error.get("input"), error["msg"])
            yield Problem(message, error["loc"], hint)


def _model_at(model: Any, path: tuple[Any, ...]) -> Any:
    """Return the model that the options have at `path`; None where the annotations do not show it."""
    for step in path:
        if isinstance(step, str):
            annotation = getattr(_fields(model).get(step), "annotation", None)
            members = (annotation, *get_args(annotation))
            model = next((member for member in members if hasattr(member, "model_fields")), None)
    return model


def _fields(model: Any) -> dict[str, Any]:
    """Return the fields of a model by the names that configs use."""
    return {field.alias or name: field for name, field in getattr(model, "model_fields", {}).items()}


def _description(model: Any, loc: tuple[Any, ...]) -> str | None:
    text = getattr(_fields(_model_at(model, loc[:-1])).get(loc[-1]), "description", None)
    return f"{loc[-1]}: {text}" if text else None
