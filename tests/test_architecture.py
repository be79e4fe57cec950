"""Laws that keep the code easy to change, read off its source: import order, unique names, plain libraries, words."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.sources import PACKAGE, nodes, nodes_of

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "text", "version", "extras", "machine"),
    ("suggest", "plugin", "derivatives", "random_streams", "metric_names"),
    ("formula",),
    ("config",),
    ("data", "models", "losses", "metrics", "optimizers", "schedules"),
    ("experiment", "engine"),
    ("rundir", "assembly"),
    ("training",),
    ("sweeping", "analysis"),
    ("checking",),
    ("plots", "exports", "reporting"),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
"""From the ground up: a module imports from its own floor and from those before it, never from a later one."""

QUESTION_WORDS = ("What", "Who", "Whom", "Whose", "Whether", "Where", "Which", "How", "When", "Why")


def _imports(module: str) -> Iterator[str]:
    """Yield the modules of gdrun that `module` imports: at its top, inside functions and for type checkers alike."""
    is_package = (PACKAGE / module.replace(".", "/")).is_dir()
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in nodes()[module]:
        if isinstance(node, ast.Import):
            sources = [
                (alias.name.removeprefix("gdrun."), "") for alias in node.names if alias.name.startswith("gdrun.")
            ]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)] + (node.module.split(".") if node.module else [])
            sources = [(".".join(base), alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gdrun":
            base = (node.module or "").split(".")[1:]
            sources = [(".".join(base), alias.name) for alias in node.names]
        else:
            continue
        for source, name in sources:
            inner = f"{source}.{name}" if source else name
            yield inner if inner in nodes() else source or "__init__"


def _arrows() -> Iterator[tuple[str, str]]:
    for module in nodes():
        for target in _imports(module):
            if target != module:
                yield module, target


def _floor(module: str) -> int:
    top = module.split(".")[0]
    return next(number for number, names in enumerate(FLOORS) if top in names)


def test_every_module_stands_on_a_floor() -> None:
    known = {name for names in FLOORS for name in names}
    assert {module.split(".")[0] for module in nodes()} <= known


def test_no_import_points_up() -> None:
    upward = sorted({(source, target) for source, target in _arrows() if _floor(target) > _floor(source)})
    assert not upward, "\n".join(f"{source} imports {target}" for source, target in upward)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for source, target in _arrows():
        graph[source].add(target)
    circles = [circle for circle in _strongly_connected(graph) if len(circle) > 1]
    assert not circles, "\n".join(" <-> ".join(sorted(circle)) for circle in circles)


def _strongly_connected(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components of a graph: two walks, the second against the arrows (Kosaraju)."""
    order: list[str] = []
    seen: set[str] = set()

    def walk(start: str, edges: dict[str, set[str]], collected: list[str]) -> None:
        stack = [(start, iter(sorted(edges.get(start, ()))))]
        seen.add(start)
        while stack:
            node, targets = stack[-1]
            target = next((target for target in targets if target not in seen), None)
            if target is None:
                stack.pop()
                collected.append(node)
            else:
                seen.add(target)
                stack.append((target, iter(sorted(edges.get(target, ())))))

    for node in sorted(graph):
        if node not in seen:
            walk(node, graph, order)
    backward: dict[str, set[str]] = defaultdict(set)
    for source, targets in graph.items():
        for target in targets:
            backward[target].add(source)
    seen.clear()
    components = []
    for node in reversed(order):
        if node not in seen:
            component: list[str] = []
            walk(node, backward, component)
            components.append(set(component))
    return components


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, node in nodes_of(ast.ClassDef):
        places[node.name].append(module)
    doubled = {name: modules for name, modules in places.items() if len(modules) > 1}
    assert not doubled, "\n".join(f"{name}: {', '.join(modules)}" for name, modules in sorted(doubled.items()))


def test_no_docstring_begins_with_a_question_word() -> None:
    wrong = []
    for module, node in nodes_of(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
        text = ast.get_docstring(node) or ""
        if text.split(" ")[0].rstrip(",.:").strip() in QUESTION_WORDS:
            wrong.append(f"{module}: {text.splitlines()[0]}")
    assert not wrong, "\n".join(wrong)


PLAIN = ("config", "experiment", "assembly", "losses", "metrics", "models", "data", "optimizers", "schedules")
"""Packages whose functions say what they do in the imperative, and whose settings what they hold."""


def test_docstrings_of_functions_are_imperatives() -> None:
    wrong = []
    for module, node in nodes_of(ast.FunctionDef, packages=PLAIN):
        if not any(_is_property(item) for item in node.decorator_list):
            first = (ast.get_docstring(node) or "Return").split()[0]
            if first in ("The", "A", "An", "One", "Each", "See", "True") or first.endswith(("s", "'s")):
                wrong.append(f"{module}.{node.name}: {first} ...")
    assert not wrong, "\n".join(wrong)


def _is_property(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id in ("property", "cached_property")


def test_no_text_of_a_field_begins_with_a_question_word() -> None:
    wrong = [
        f"{module}.{owner.name}: {below.value.value[:60]}"
        for module, owner in nodes_of(ast.ClassDef, packages=PLAIN)
        for below in owner.body[1:]
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
        if below.value.value.split(" ")[0].rstrip(",.:").strip() in QUESTION_WORDS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("pydantic_core", {"PydanticCustomError"}), ("click", set()), ("typer", {"*"})],
)
def test_no_library_is_taken_by_its_inner_parts(package: str, allowed: set[str]) -> None:
    taken = []
    for module, node in nodes_of(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            names = [(alias.name, alias.name) for alias in node.names]
        else:
            names = [] if node.level else [(node.module or "", alias.name) for alias in node.names]
        for source, name in names:
            if source.split(".")[0] == package:
                private = any(part.startswith("_") for part in (*source.split("."), name))
                if private or ("*" not in allowed and name not in allowed):
                    taken.append(f"{module}: {source} {name}")
    assert not taken, "\n".join(taken)
