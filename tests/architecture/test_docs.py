"""What the documentation names exists: files, headings, commands, make targets, settings."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic_settings import BaseSettings

from alchemiscale_prefect import cli, settings
from alchemiscale_prefect.api.app import AREAS
from alchemiscale_prefect.api.errors import STATUS
from alchemiscale_prefect.domain.errors import AlchemiscaleError
from alchemiscale_prefect.protocols.harmonic import HarmonicSettings
from alchemiscale_prefect.protocols.noble_gas import NobleGasSettings
from tests.architecture.project import PACKAGE, ROOMS, ROOT, project_files

PAGES = [path for path in project_files("*.md") if path.name != "CHANGELOG.md"]
TOP_LEVEL = {path.relative_to(ROOT).parts[0] for path in project_files()}
PROGRAM = "alchemiscale-prefect"

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The headings of a page, as they are linked to."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue  # the web is not ours to check
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


def code(text: str) -> list[str]:
    """The code blocks of a page, and what stands between backticks in its running text."""
    return [match.group() for match in FENCE.finditer(text)] + CODE.findall(FENCE.sub("", text))


def commands(text: str) -> Iterator[list[str]]:
    """Every call of our program that a page shows, in code blocks and in the running text."""
    for block in code(text):
        for line in block.replace("\\\n", " ").splitlines():
            if call := re.match(rf"\s*(?:\$ )?(?:\S*/)?{PROGRAM} ([^#|;&>`…]+)", line):
                yield shlex.split(call.group(1))


def wrong_part(words: list[str]) -> str | None:
    """The first word of a call that our program does not know."""
    command: Any = typer.main.get_command(cli.build())
    for word in words:
        if word.startswith("-"):
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            if word.partition("=")[0] not in known | {"--help"}:
                return word
        elif subcommands := getattr(command, "commands", None):
            if word not in subcommands:
                return word
            command = subcommands[word]
    return None


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(dead_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_commands_on_a_page_exist(page: Path) -> None:
    assert [words for words in commands(page.read_text()) if wrong_part(words)] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_make_targets_on_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {
        target for block in code(page.read_text()) for target in re.findall(r"^make ([a-z]+)", block, re.MULTILINE)
    } <= targets


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_files_on_a_page_exist(page: Path) -> None:
    named = [code for code in CODE.findall(FENCE.sub("", page.read_text())) if re.fullmatch(r"[\w./-]+", code)]
    in_the_tree = [code for code in named if "/" in code and code.split("/")[0] in TOP_LEVEL]
    assert [code for code in in_the_tree if not (ROOT / code).exists()] == []


def test_the_readme_shows_the_commands_of_the_first_ten_minutes() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)", readme, re.MULTILINE))
    assert ["up"] in list(commands(readme))


def test_the_map_has_every_room_and_every_room_has_what_the_map_says() -> None:
    text = (ROOT / "docs" / "map.md").read_text()
    assert {f"`{room}/`" for room in ROOMS} <= set(re.findall(r"`\w+/`", text))
    modules = set(re.findall(r"^\| `(\w+\.py)`", text, re.MULTILINE))
    assert all(list(PACKAGE.rglob(module)) for module in modules)


def every_command(command: Any, *names: str) -> Iterator[str]:
    """Each command of our program, with those that it is under."""
    if subcommands := getattr(command, "commands", None):
        for name, below in subcommands.items():
            yield from every_command(below, *names, name)
    else:
        yield " ".join((PROGRAM, *names))


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    known = list(every_command(typer.main.get_command(cli.build())))
    assert len(known) > 40
    assert [command for command in known if f"`{command}`" not in page] == []


def test_every_setting_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    groups = [
        value
        for value in vars(settings).values()
        if isinstance(value, type) and issubclass(value, BaseSettings) and value is not BaseSettings
    ]
    names = {
        f"{group.model_config.get('env_prefix', '')}{name}".upper() for group in groups for name in group.model_fields
    }
    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_what_is_not_there_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](#a-title) [b](#no-title) [c](none.md)\n```\n[d](in-code.md)\n```\n")
    assert list(dead_links(page)) == ["#no-title", "none.md"]
    shown = list(commands(f"run `{PROGRAM} upp`, or\n```\n$ {PROGRAM} up --no-such-option 3  # a comment\n```\n"))
    assert shown == [["up", "--no-such-option", "3"], ["upp"]]
    assert [wrong_part(words) for words in shown] == ["--no-such-option", "upp"]


def test_the_reference_of_the_http_api_has_every_route_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "http-api.md").read_text()
    shown = set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)`", page, re.MULTILINE))
    served = {(method, route.path) for area in AREAS for route in area.router.routes for method in route.methods}
    assert shown == served


def test_the_reference_of_the_http_api_has_every_code_under_its_status() -> None:
    page = (ROOT / "docs" / "reference" / "http-api.md").read_text()
    rows = dict(re.findall(r"^\| (\d{3}) \| (.+) \|$", page, re.MULTILINE))
    shown = {(status, code) for status, codes in rows.items() for code in re.findall(r"`([a-z_]+)`", codes)}
    classes, found = [AlchemiscaleError], set()
    while classes:
        error = classes.pop()
        classes += error.__subclasses__()
        if not error.__module__.startswith("alchemiscale_prefect.domain."):
            continue  # the client's own
        status = next((STATUS[above] for above in error.__mro__ if above in STATUS), 500)
        found.add((str(status), error.code))
    assert shown == found


@pytest.mark.parametrize("group", [HarmonicSettings, NobleGasSettings], ids=lambda group: group.__name__)
def test_the_reference_has_the_settings_of_a_built_in_protocol_with_their_defaults(group: Any) -> None:
    page = (ROOT / "docs" / "reference" / "protocols.md").read_text()
    _, _, section = page.partition(f"## {group.__name__.removesuffix('Settings')}Protocol")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section.split("\n## ")[0], re.MULTILINE)
    shown = {name: default.split(" ")[0] for name, default in rows}
    assert shown == {name: as_shown(field.default) for name, field in group.model_fields.items()}


def as_shown(default: Any) -> str:
    """How the reference begins to tell a default: a quantity's number, how many there are in a list."""
    if default is None:
        return "none"
    return str(len(default) if isinstance(default, list) else getattr(default, "magnitude", default))
