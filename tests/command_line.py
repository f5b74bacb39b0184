"""The command line in this process, for tests: what it printed, and how it ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from alchemiscale_prefect.cli import build

ANSI = "\x1b["


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands with an environment.

    Parameters
    ----------
    environment
        Laid over that of the test.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def __call__(self, *words: object, stdin: str | None = None) -> Ended:
        """Run a command; what it raises that is no error of ours comes through."""
        runner = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "", **self.environment})
        result = runner.invoke(build(), [str(word) for word in words], input=stdin, catch_exceptions=False)
        return Ended(result.exit_code, result.stdout, result.stderr)

    def text(self, *words: object, stdin: str | None = None) -> str:
        """What a command that succeeds prints for people: without colours where nobody watches."""
        ended = self(*words, stdin=stdin)
        assert ended.code == 0, ended.err
        assert ANSI not in ended.out
        return ended.out

    def json(self, *words: object, stdin: str | None = None) -> Any:
        """The one document that a command that succeeds prints."""
        ended = self(*words, "--json", stdin=stdin)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def refused(self, *words: object, code: int = 1, stdin: str | None = None) -> dict[str, Any]:
        """The error that a command prints, the same for people and for programs; it prints nothing else."""
        told, plain = self(*words, "--json", stdin=stdin), self(*words, stdin=stdin)
        assert (told.code, plain.code) == (code, code), (told, plain)
        assert (told.out, plain.out) == ("", "")
        error: dict[str, Any] = json.loads(told.err)
        assert set(error) == {"detail", "code", "field"}
        assert "Traceback" not in plain.err
        if code == 1:
            assert plain.err == f"error: {error['detail']}\n"
        return error
