"""What the commands share that take a Strategy: its class or file, its settings, and how weights become Tasks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.strategies import StrategyTaskScaling, StrategyWeighting

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import GufeTokenizable

ClassOrFile = Annotated[
    str,
    typer.Argument(
        metavar="CLASS|FILE",
        help="A class, as package.module:Class, or a file with a Strategy as gufe writes it.",
        show_default=False,
    ),
]
Settings = Annotated[
    str | None,
    typer.Option(metavar="JSON|FILE", help="Of a class: what differs from its defaults, as a JSON object."),
]
TaskScaling = Annotated[StrategyTaskScaling, typer.Option(help="How a weight becomes a number of Tasks.")]
Weighting = Annotated[
    StrategyWeighting, typer.Option(help="What weights are divided by: the largest, or as alchemiscale their sum.")
]


def read_strategy(name: str, settings: str | None) -> "GufeTokenizable":
    """The Strategy that the arguments mean; `InvalidInput` if it cannot be made here."""
    try:
        from alchemiscale_prefect.chemistry import documents, strategies
        from alchemiscale_prefect.strategies.base import check_strategy
    except ImportError as error:
        raise InvalidInput(f"making a Strategy needs gufe: {error}", field="strategy") from error
    if Path(name).is_file():
        if settings is not None:
            raise typer.BadParameter("a file has its settings in it", param_hint="--settings")
        made = documents.read(Path(name))
        check_strategy(made, "strategy")
        return made
    return strategies.make(name, _given(settings))


def _given(settings: str | None) -> dict[str, Any]:
    """Settings as they were given: JSON, or a file of it."""
    if settings is None:
        return {}
    try:
        text = settings if settings.lstrip().startswith("{") else Path(settings).read_text(encoding="utf-8")
        given = json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"the settings are neither a JSON object nor a file with one: {error}", field="settings"
        ) from error
    if not isinstance(given, dict):
        raise InvalidInput("the settings must be a JSON object, of names and values", field="settings")
    return given
