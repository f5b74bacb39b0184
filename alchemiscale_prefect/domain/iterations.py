"""Iterations of a Strategy: what it is given, what it gives, and what its failure is kept as."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from alchemiscale_prefect.domain.result_summaries import NO_OTHERS, OtherAttempts, ResultSummary
from alchemiscale_prefect.domain.scaling import Weight
from alchemiscale_prefect.domain.texts import shortened

MAX_MESSAGE, MAX_TRACEBACK = 20_000, 2**16
"""Characters of what a Strategy failed with that are kept."""


@dataclass(frozen=True, slots=True)
class Document:
    """A gufe object as it is stored.

    Attributes
    ----------
    text
        JSON text of its keyed chain, or of a result the same compressed by zstandard.
    gufe_version
        Who wrote it, if that is known.
    """

    text: bytes
    gufe_version: str | None


@dataclass(frozen=True, slots=True)
class Material:
    """What a Strategy proposes from.

    Attributes
    ----------
    network, strategy
        Keyed chains.
    summaries
        Of the ok results, by the key of the Transformation as it is stored; one without results may be missing.
    results
        Reads the ok results themselves, each with the key of its Transformation: for Strategies that summaries are not
        enough for.
    others
        What attempts took that gave none of these.
    """

    network: Document
    strategy: Document
    summaries: Mapping[str, ResultSummary]
    results: Callable[[], Iterable[tuple[str, Document]]]
    others: OtherAttempts = NO_OTHERS


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a Strategy proposes.

    Attributes
    ----------
    weights
        By the key of the Transformation as it is stored.
    max_tasks
        How many Tasks the network may have in all, those that are done, wait or run together; ``None`` for any number.
    budget
        The same, with those that failed.
    """

    weights: Mapping[str, Weight]
    max_tasks: int | None = None
    budget: int | None = None


Propose = Callable[[Material], Proposed]
"""Performs a Strategy. It needs gufe and the Strategy's package, so whoever has these gives it to the services."""


@dataclass(frozen=True, slots=True)
class StrategyFailure:
    """What a Strategy failed with.

    Attributes
    ----------
    exception
        Class and message.
    traceback
        Where that was; without the values of variables.
    """

    exception: tuple[str, str]
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The failure that `error` is."""
        told = "".join(traceback.format_exception(error))
        return cls((type(error).__qualname__, _storable(_message(error), MAX_MESSAGE)), _storable(told, MAX_TRACEBACK))


class StrategyFailed(Exception):
    """A Strategy failed where its exception cannot come from: in another process.

    Attributes
    ----------
    failure
        What it failed with.
    """

    def __init__(self, failure: StrategyFailure) -> None:
        super().__init__(": ".join(failure.exception))
        self.failure = failure


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001  whoever wrote the exception may have got that wrong too
        return f"(its message cannot be told: {type(second).__qualname__})"


def _storable(text: str, most: int) -> str:
    # Postgres keeps neither NUL nor half a character
    return shortened(text.replace("\0", ""), most).encode("utf-8", "backslashreplace").decode()
