"""Looking for users' regular expressions in texts, within limits. `pattern_process` is the process that does it."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.services import pattern_process

SECONDS, SECONDS_PER_TEXT, MOST_SECONDS = 0.5, 0.05, 10.0
"""Of the processor, for a pattern: to begin with, for each text, and at most."""
BUDGET, BUDGET_PER_TEXT = 20.0, 0.005
"""Seconds of the processor for all patterns together."""
_PATIENCE_SECONDS = 60.0

# isolated, without site-packages: a tenth of the time to start
_COMMAND = (sys.executable, "-I", "-S", "-W", "ignore", str(Path(pattern_process.__file__)))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a pattern.

    Attributes
    ----------
    texts
        Indices of the texts that it is found in.
    error
        Why it is no regular expression, if it is none.
    too_slow
        Whether it was given up.
    """

    texts: frozenset[int] = frozenset()
    error: str | None = None
    too_slow: bool = False


class Matches:
    """Which patterns are found in which texts. Each is looked for once: long ones before a transaction, not in it.

    Attributes
    ----------
    errors
        Pattern → why it is no regular expression.
    too_slow
        Patterns that were given up; they count as not found.
    """

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}
        self.too_slow: set[str] = set()
        self._found: dict[str, dict[str, bool]] = {}

    def look_for(self, patterns: Iterable[str], texts: Collection[str]) -> None:
        """Look for patterns in texts, as far as that was not done."""
        new: dict[str, None] = {}
        unsettled: list[str] = []
        for pattern in dict.fromkeys(patterns):
            known = self._found.setdefault(pattern, {})
            lacking = dict.fromkeys(text for text in texts if text not in known)
            new.update(lacking)
            if lacking:
                unsettled.append(pattern)
        ordered = list(new)
        for pattern, found in zip(unsettled, search(unsettled, ordered), strict=True):
            self._found[pattern].update((text, index in found.texts) for index, text in enumerate(ordered))
            if found.error is not None:
                self.errors[pattern] = found.error
            if found.too_slow:
                self.too_slow.add(pattern)

    def found(self, pattern: str, texts: Iterable[str]) -> bool:
        """Whether a pattern is in one of these texts, all of which were looked at."""
        return any(self._found[pattern][text] for text in texts)


def search(patterns: Sequence[str], texts: Sequence[str]) -> list[Found]:
    """Look for each pattern, with Python's `re`, in each text.

    Returns
    -------
    list of Found
        One for each pattern, in order.

    Raises
    ------
    Unavailable
        The machine is too busy for this now.
    """
    found: list[Found] = []
    budget = BUDGET + BUDGET_PER_TEXT * len(texts)
    while len(found) < len(patterns) and budget > 0:
        answers, used = _answers(patterns[len(found) :], texts, budget)
        found += answers
        budget -= used
    return found + [Found(too_slow=True)] * (len(patterns) - len(found))


def _answers(patterns: Sequence[str], texts: Sequence[str], budget: float) -> tuple[list[Found], float]:
    """The answers up to the first pattern that takes too long, and the seconds that they took."""
    seconds = min(SECONDS + SECONDS_PER_TEXT * len(texts), MOST_SECONDS)
    asked = {"patterns": list(patterns), "texts": list(texts), "seconds": seconds, "budget": budget}
    try:
        done = subprocess.run(  # noqa: S603  what users gave goes to its input
            _COMMAND,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS + 2 * budget,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable("regular expressions cannot be looked for now; try again") from error
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    answers = [Found(frozenset(found), wrong) for wrong, found, _ in lines]
    used: float = lines[-1][-1] if lines else 0.0
    if len(answers) < len(patterns):
        # ended by its timer, or out of memory; either way this pattern is to blame
        log.warning("pattern_given_up", pattern=patterns[len(answers)], returncode=done.returncode)
        answers.append(Found(too_slow=True))
        used += min(seconds, budget)
    return answers, used
