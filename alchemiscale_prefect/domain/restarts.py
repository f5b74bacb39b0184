"""Restart patterns: which failed Tasks run again by themselves, and when a network gives one up.

A network's pattern is a regular expression of Python's `re`, looked for in the tracebacks of a Task's last result. It
may restart each Task of that network `max_retries` times; every network counts for itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alchemiscale_prefect.domain.errors import InvalidInput

MAX_PATTERN = 600
"""Characters of a pattern. Postgres has no index for more than 2704 bytes."""
MAX_PATTERNS = 100
"""Patterns of a network."""
MAX_RESTARTS = 2**31 - 1
MAX_TRACEBACK = 2**16
"""Characters of a traceback that are looked at: the last ones, where the exception is."""


@dataclass(frozen=True, slots=True)
class Enforced:
    """A pattern of a network, held against a Task in error that is actioned there.

    Attributes
    ----------
    num_retries
        How often the pattern has restarted the Task for this network.
    matches
        Whether it was found in the tracebacks of the Task's last result.
    """

    task_id: int
    network_id: int
    pattern_id: int
    max_retries: int
    num_retries: int
    matches: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of Tasks in error.

    Attributes
    ----------
    counted
        (network, Task, pattern) whose count goes up by one.
    given_up
        (network, Task) pairs to be un-actioned, whose counts go with them.
    restarted
        Tasks to be set waiting.
    """

    counted: tuple[tuple[int, int, int], ...]
    given_up: tuple[tuple[int, int], ...]
    restarted: tuple[int, ...]


def resolve(enforced: Iterable[Enforced]) -> Plan:
    """Decide about Tasks in error.

    A network restarts a Task if one of its patterns matches and none that does has used up its restarts; each pattern
    that matches counts. Otherwise the network gives the Task up. A Task that a network restarts waits again; networks
    without patterns have no say in it, and keep it either way.

    Parameters
    ----------
    enforced
        Every pattern of every network that the Tasks are actioned on.
    """
    decisions: dict[tuple[int, int], list[Enforced]] = {}
    for item in enforced:
        decisions.setdefault((item.network_id, item.task_id), []).append(item)
    counted: list[tuple[int, int, int]] = []
    given_up: list[tuple[int, int]] = []
    restarted: dict[int, None] = {}
    for (network_id, task_id), items in decisions.items():
        matching = [item for item in items if item.matches]
        if matching and all(item.num_retries < item.max_retries for item in matching):
            counted += [(network_id, task_id, item.pattern_id) for item in matching]
            restarted[task_id] = None
        else:
            given_up.append((network_id, task_id))
    return Plan(tuple(counted), tuple(given_up), tuple(restarted))


def check_patterns(patterns: Sequence[str], field: str = "patterns") -> list[str]:
    """`patterns`, each once. Whether they are regular expressions is not looked at here: that can take long.

    Raises
    ------
    InvalidInput
        They are not a list of strings, or one is empty, too long, or no text that can be stored.
    """
    if isinstance(patterns, str) or not isinstance(patterns, Sequence):
        raise InvalidInput(f"`{field}` must be a list of strings", field=field)
    for position, pattern in enumerate(patterns):
        if not isinstance(pattern, str):
            kind = type(pattern).__qualname__
            raise InvalidInput(f"`{field}`[{position}] must be a string, not a {kind}", field=field)
        if not pattern:
            raise InvalidInput(f"`{field}`[{position}] is empty; it would match every traceback", field=field)
        if len(pattern) > MAX_PATTERN:
            raise InvalidInput(f"`{field}`[{position}] has more than {MAX_PATTERN} characters", field=field)
        if "\0" in pattern or not _is_text(pattern):
            raise InvalidInput(
                f"`{field}`[{position}] must not hold NUL or half a surrogate pair; write it as an escape", field=field
            )
    return list(dict.fromkeys(patterns))


def check_allowed_restarts(count: int, field: str = "num_allowed_restarts") -> None:
    """Raise `InvalidInput` unless `count` is a number of restarts: 1 or more."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_RESTARTS:
        raise InvalidInput(f"`{field}` must be an integer between 1 and 2**31 - 1, inclusive", field=field)


def searched_text(traceback: str, exception: str) -> str:
    """What patterns are looked for in: the traceback, which ends with the exception; without one, the exception."""
    return (traceback or exception)[-MAX_TRACEBACK:]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
