"""The API that commands talk to, and what their arguments mean there."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey

if TYPE_CHECKING:
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient

Value = TypeVar("Value")

Network = Annotated[
    str, typer.Argument(metavar="NETWORK", help="ScopedKey of an AlchemicalNetwork.", show_default=False)
]
Tasks = Annotated[
    list[str] | None,
    typer.Argument(metavar="TASK", help="ScopedKeys of Tasks; '-' reads them from standard input."),
]

# somebody waits: what heals within seconds is waited for, an API that is not there is told at once
MAX_RETRIES = 2
RETRY_BASE_SECONDS = 1.5


@contextmanager
def connected() -> "Iterator[AlchemiscaleClient]":
    """A client for the API that the environment or the local profile names."""
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient

    with AlchemiscaleClient(max_retries=MAX_RETRIES, retry_base_seconds=RETRY_BASE_SECONDS) as client:
        yield client


def network_key(text: str) -> ScopedKey:
    """The ScopedKey of a network; `InvalidInput` if it is none, or one of something else."""
    return _key(text, ("AlchemicalNetwork",), "network")


def known_network(client: "AlchemiscaleClient", text: str) -> ScopedKey:
    """The ScopedKey of a network that is there; `NotFound` otherwise."""
    key = network_key(text)
    there_are([key], [client.get_network_state(key)])
    return key


def task_key(text: str) -> ScopedKey:
    """The ScopedKey of a Task; `InvalidInput` if it is none, or one of something else."""
    return _key(text, ("Task",), "task")


def task_keys(given: Sequence[str]) -> list[ScopedKey]:
    """ScopedKeys of Tasks, in order and each once; ``-`` stands for those on standard input."""
    return keys(given, ("Task",), "task")


def keys(given: Sequence[str], qualnames: tuple[str, ...], field: str) -> list[ScopedKey]:
    """ScopedKeys of objects of these classes, in order and each once; ``-`` stands for those on standard input.

    Standard input has keys between white space, a JSON array of them, or a document that a command printed with
    ``--json``, whose objects carry their key under `field`.
    """
    words: list[str] = []
    for word in given:
        words += _piped(sys.stdin.read(), field) if word == "-" else [word]
    return list(dict.fromkeys(_key(word, qualnames, field) for word in words))


def there_are(named: Sequence[ScopedKey], values: Sequence[Value | None]) -> list[Value]:
    """`values`, of which the API gives ``None`` for what it does not have.

    Raises
    ------
    NotFound
        Names the first that is missing, and says how many more there are.
    """
    missing = [key for key, value in zip(named, values, strict=True) if value is None]
    if missing:
        more = f" (nor {len(missing) - 1} more of these)" if len(missing) > 1 else ""
        raise NotFound(
            f"there is no {missing[0]}{more}, or you have no access to it", field=_FIELDS[missing[0].qualname]
        )
    return [value for value in values if value is not None]


_FIELDS = {
    "AlchemicalNetwork": "network",
    "Task": "task",
    "Transformation": "transformation",
    "NonTransformation": "transformation",
}


def _key(text: str, qualnames: tuple[str, ...], field: str) -> ScopedKey:
    from alchemiscale_prefect.sdk.arguments import as_scoped_key

    key = as_scoped_key(text, field)
    if key.qualname not in qualnames:
        raise InvalidInput(f"{key} is no {' or '.join(qualnames)}", field=field)
    return key


def _piped(text: str, field: str) -> Iterable[str]:
    stripped = text.strip()
    if not stripped.startswith(("{", "[", '"')):
        return stripped.split()
    try:
        document = json.loads(stripped)
    except ValueError as error:
        raise InvalidInput(f"standard input is neither keys nor JSON: {error}", field=field) from error
    return _named(document, field)


def _named(document: Any, field: str) -> Iterator[str]:
    """Strings of an array, or what stands under `field` (or its plural) in an object of our own."""
    if isinstance(document, str):
        yield document
        return
    if isinstance(document, list):
        parts = document
    else:
        parts = [document[name] for name in (field, f"{field}s") if isinstance(document, dict) and name in document]
        if not parts:
            raise InvalidInput(f"the JSON on standard input has no {field}s in it", field=field)
    for part in parts:
        yield from _named(part, field)
