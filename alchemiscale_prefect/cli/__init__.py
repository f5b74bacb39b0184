"""The command line: one file per noun."""

import importlib
from collections.abc import Callable

import typer

from alchemiscale_prefect.cli.output import Program

_COMMANDS = {
    "up": "run the whole system on this machine, until Ctrl-C",
    "demo": "run a real network on this machine and print its free energies",
    "api": "run the API server",
    "dispatch": "run a dispatcher",
    "deploy": "make work pools, deployments and automations in Prefect",
    "reconcile": "hold tables, Prefect and object store against each other, and mend",
    "doctor": "look at everything that is needed, and say how to mend it",
}
_GROUPS = {
    "network": "AlchemicalNetworks: submit, follow, weigh, results",
    "task": "Tasks: create, action, status, tracebacks, retry",
    "strategy": "Strategies of networks: set, show, wake, remove",
    "db": "the database: init, check, backup, restore",
    "identity": "who may log in, and to which scopes",
    "host": "hosts that run Tasks: list, ban, pardon",
}


def build() -> typer.Typer:
    """The command line. A command's file is imported here, what the command needs when it runs."""
    app = typer.Typer(
        name="alchemiscale-prefect",
        cls=Program,
        help="Alchemical free-energy networks, executed by Prefect and kept in Postgres.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, text in _COMMANDS.items():
        command: Callable[..., None] = importlib.import_module(f"{__name__}.{name}").command
        app.command(name, help=text[0].upper() + text[1:] + ".")(command)
    for name, text in _GROUPS.items():
        app.add_typer(importlib.import_module(f"{__name__}.{name}").app, name=name, help=text[0].upper() + text[1:])
    return app


def main() -> None:
    """Run the command line."""
    build()()
