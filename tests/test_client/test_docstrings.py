"""Docstrings of public functions are complete: `Args:`, and `Returns:` or `Yields:`, in Google style.

Ruff checks what stands in these sections (D417, DOC201, DOC402, DOC501), but accepts a docstring of one line.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for source in ("src", "example/src")
    for path in (ROOT / source).rglob("*.py")
    if "tests" not in path.relative_to(ROOT).parts  # those of the template of `cl-client plugin new`
)
ROOMS = sorted({path.parent.relative_to(ROOT).as_posix() for path in MODULES})

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

ATTRIBUTES = {"property", "cached_property", "setter"}
INHERITED = {"override", "overload"}
PYDANTIC = {"field_validator", "model_validator", "field_serializer", "model_serializer"}
COMMANDS = {"command", "callback", "default"}
EXEMPT = ATTRIBUTES | INHERITED | PYDANTIC | COMMANDS
NOTHING = {"None", "Never", "NoReturn"}


def public_functions(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Functions and methods without an underscore, with their qualified names; none inside a function."""
    for node in body:
        if isinstance(node, ast.If):  # a definition by platform or version
            yield from public_functions([*node.body, *node.orelse], prefix)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node


def last_name(decorator: ast.expr) -> str:
    """The last part of a decorator's name, without the arguments of its call."""
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).rpartition(".")[2]


def parameters(function: Function) -> list[str]:
    signature = function.args
    named = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs]
    variadic = [one for one in (signature.vararg, signature.kwarg) if one is not None]
    return [one.arg for one in (*named, *variadic) if one.arg not in {"self", "cls"}]


def returns_something(function: Function) -> bool:
    if function.returns is None:
        return False
    annotation = ast.unparse(function.returns)
    return annotation not in NOTHING and not re.fullmatch(r"(Async)?(Generator|Iterator)\[None\]", annotation)


def missing_sections(function: Function) -> list[str]:
    """What the docstring lacks. That there is one at all is checked by ruff (D102, D103)."""
    docstring = ast.get_docstring(function)
    if docstring is None or EXEMPT & {last_name(decorator) for decorator in function.decorator_list}:
        return []
    sections = set(re.findall(r"^(Args|Returns|Yields):$", docstring, re.MULTILINE))
    missing: list[str] = []
    if parameters(function) and "Args" not in sections:
        missing.append("Args:")
    if returns_something(function) and not sections & {"Returns", "Yields"}:
        missing.append("Returns: or Yields:")
    return missing


def offenders(path: Path) -> Iterator[str]:
    if path.stem.endswith("commands"):  # every public function there is a command: its docstring is the help
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, function in public_functions(tree.body):
        if missing := missing_sections(function):
            place = f"{path.relative_to(ROOT).as_posix()}:{function.lineno}"
            yield f"{place}: {name} lacks {' and '.join(missing)}"


@pytest.mark.parametrize("room", ROOMS)
def test_public_docstrings_are_complete(room: str) -> None:
    modules = [path for path in MODULES if path.parent == ROOT / room]
    found = [offender for path in modules for offender in offenders(path)]
    assert not found, "\n".join(["Docstrings without a section:", *found])


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('def f(a): "Text."', ["Args:"]),
        ('def f(*rest): "Text."', ["Args:"]),
        ('def f(**rest): "Text."', ["Args:"]),
        ('def f() -> int: "Text."', ["Returns: or Yields:"]),
        ('async def f(a) -> int: "Text."', ["Args:", "Returns: or Yields:"]),
        ('def f(a) -> int: "Text.\\n\\nArgs:\\n    a: One.\\n\\nReturns:\\n    One."', []),
        ('def f() -> Iterator[int]: "Text.\\n\\nYields:\\n    One."', []),
        ('def f(self) -> None: "Text."', []),
        ('def f() -> NoReturn: "Text."', []),
        ('def f() -> Generator[None]: "Text."', []),
        ('async def f() -> AsyncGenerator[int]: "Text."', ["Returns: or Yields:"]),
        ('@app.command(name="f")\ndef f(a): "Text."', []),
        ('@property\ndef f(self) -> int: "Text."', []),
        ('@typing.override\ndef f(self, a) -> int: "Text."', []),
    ],
)
def test_missing_sections_are_found(source: str, missing: list[str]) -> None:
    functions = dict(public_functions(ast.parse(source).body))
    assert missing_sections(functions["f"]) == missing


def test_private_and_inner_functions_are_not_public() -> None:
    source = """
def public():
    def inner(): ...
def _private(): ...
class Public:
    def method(self): ...
    def _private(self): ...
    class Inner:
        def method(self): ...
class _Private:
    def method(self): ...
"""
    names = [name for name, _ in public_functions(ast.parse(source).body)]
    assert names == ["public", "Public.method", "Public.Inner.method"]
