"""What keeps a file readable, and what no file may hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.project import PACKAGE, ROOT, project_files

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_PUBLIC_METHODS = 15
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)($|_)")

SOURCES = [path for path in project_files("*.py") if "migrations/versions" not in path.as_posix()]
Function = ast.FunctionDef | ast.AsyncFunctionDef

# In pieces, since this file is looked at too.
REGISTRY_HOSTS = [
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("crates", "io"),
    )
]
INDEX_OPTIONS = re.compile(
    r"--(extra-)?index-url|--find[-]links|--trusted[-]host|^(extra-)?index-url\s*=", re.MULTILINE
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def body_length(function: Function) -> int:
    """Lines of a function from its ``def``, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and body_length(node) > MOST_LINES_OF_A_FUNCTION:
            yield f"{node.name} (line {node.lineno}, {body_length(node)} lines)"


def wide_classes(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            public = {n.name for n in node.body if isinstance(n, Function) and not n.name.startswith("_")}
            if len(public) > MOST_PUBLIC_METHODS:
                yield f"{node.name} (line {node.lineno}, {len(public)} public methods)"


def foreign_addresses(text: str) -> Iterator[str]:
    yield from (host for host in REGISTRY_HOSTS if host in text)
    yield from (match.group() for match in INDEX_OPTIONS.finditer(text))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_is_short_and_so_are_its_functions_and_classes(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MOST_LINES_OF_A_FILE
    assert list(long_functions(source)) == []
    if PACKAGE in path.parents:
        assert list(wide_classes(source)) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    modules = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert {name for name in modules if VAGUE_NAMES.search(name)} == set()


def test_no_file_names_the_host_of_a_package_registry() -> None:
    named = {}
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if found := set(foreign_addresses(text)):
            named[relative(path)] = found
    assert named == {}


def test_each_of_these_rules_can_fail() -> None:
    docstring = '    """Says.\n\n    More.\n    """\n'
    steps = ["    x = 1\n"] * MOST_LINES_OF_A_FUNCTION
    assert list(long_functions("".join(["def short():\n", docstring, *steps[1:]]))) == []
    assert list(long_functions("".join(["def long():\n", *steps]))) == ["long (line 1, 61 lines)"]
    methods = "".join(f"    def m{n}(self): ...\n" for n in range(MOST_PUBLIC_METHODS + 1))
    assert list(wide_classes(f"class Wide:\n{methods}")) == ["Wide (line 1, 16 public methods)"]
    assert [bool(VAGUE_NAMES.search(name)) for name in ("utils", "task_helpers", "manager", "committed")] == [
        1,
        1,
        1,
        0,
    ]
    address = f"index-url = https://files.{REGISTRY_HOSTS[1]}/"
    assert list(foreign_addresses(address)) == [REGISTRY_HOSTS[1], "index-url ="]
