"""Fair share: whose turn it is, by what each group has used of late and what it should have.

The operator gives Scopes shares. Who has used least for its share, within a window that slides with the time, is next:
so those that have work divide the compute in proportion to their shares, however many networks they have and whatever
weights these have. What a group did not use while it had no work is not saved up beyond the window.
"""

import heapq
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scopes import Scope

DEFAULT_SHARE = 1.0
DEFAULT_WINDOW = timedelta(hours=24)
UNKNOWN_DURATION = 3600.0
"""Seconds that an attempt is thought to run where none has ended within the window."""

_EVERY = Scope()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a Scope has used of the compute within the window.

    Attributes
    ----------
    scope
        As a string.
    ended
        Attempts that ran and ended in the window.
    durations
        Seconds that these took, from their begin to their end.
    seconds
        The part of that within the window.
    live
        Of each attempt that is not over, the seconds it has run for; 0 of one that waits for a worker.
    """

    scope: str
    ended: int = 0
    durations: float = 0.0
    seconds: float = 0.0
    live: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """What the operator has set.

    Attributes
    ----------
    by_pattern
        Shares of Scopes, which may have wildcards. The most specific one that covers a Scope counts. All that one
        pattern covers, save what a more specific one does, is one group with one share. Organisations that none names
        are each a group of their own, whose share is that of ``*-*-*``, or 1.
    window
        Within which use counts.

    Raises
    ------
    InvalidInput
        A share or the window is not a number above 0.
    """

    by_pattern: Mapping[Scope, float]
    window: timedelta = DEFAULT_WINDOW

    def __post_init__(self) -> None:
        for pattern, share in self.by_pattern.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 < share < math.inf:
                raise InvalidInput(f"the share of {pattern} is {share!r}; it must be a number above 0", field="shares")
        if self.window <= timedelta(0):
            raise InvalidInput("the window of shares must be longer than 0", field="shares")

    @classmethod
    def from_json(cls, document: str, window: timedelta = DEFAULT_WINDOW) -> Self:
        """Read ``{"org_a": 3, "org_b-campaign-*": 2}``: organisations or Scopes, and their shares.

        Raises
        ------
        InvalidInput
            It is no such document.
        """
        example = 'expected {"organisation": 3, "org-campaign-*": 1}'
        try:
            # as pairs: of a Scope that stands there twice JSON would keep the last in silence
            pairs = json.loads(document, object_pairs_hook=tuple)
        except ValueError as error:
            raise InvalidInput(f"no JSON ({error}); {example}", field="shares") from error
        if not isinstance(pairs, tuple):
            raise InvalidInput(f"no object; {example}", field="shares")
        by_pattern: dict[Scope, float] = {}
        for name, share in pairs:
            pattern = Scope.from_str(name) if "-" in name else Scope(name)
            if pattern in by_pattern:
                raise InvalidInput(f"{pattern} has two shares; give it one", field="shares")
            by_pattern[pattern] = share
        return cls(by_pattern, window)

    def group_of(self, scope: Scope) -> Scope:
        """The group of a specific Scope: the pattern that counts for it, or its organisation."""
        for pattern in (scope, Scope(scope.org, scope.campaign), Scope(scope.org)):
            if pattern in self.by_pattern:
                return pattern
        return Scope(scope.org)

    def share_of(self, group: Scope) -> float:
        """The share of a group, in no unit: shares are compared with each other."""
        return self.by_pattern.get(group, self.by_pattern.get(_EVERY, DEFAULT_SHARE))


@dataclass(frozen=True, slots=True)
class Standing:
    """A group's share, and what it has used of it.

    Attributes
    ----------
    group
        The pattern or organisation.
    share
        What is set for it.
    used
        Seconds within the window.
    committed
        The same, with what its attempts under way are still expected to take. Compared with the share, it says whose
        turn it is.
    expected
        Seconds that one more attempt is expected to take: as long as those that ended in the window took on average.
    """

    group: Scope
    share: float
    used: float
    committed: float
    expected: float


@dataclass(frozen=True, slots=True)
class Part:
    """What a group should have of all the compute of the window, and what it had.

    Attributes
    ----------
    group
        The pattern or organisation, as a string.
    share
        What is set for it.
    due, used
        Of 1: its share among all groups that are named or used something, and what it used of all that was used.
    seconds
        What it used.
    """

    group: str
    share: float
    due: float
    used: float
    seconds: float


@dataclass
class Ledger:
    """What every group has used, kept while Tasks are handed out.

    Parameters
    ----------
    shares
        What the operator has set.
    usages
        Of all Scopes that used something within the window. Others have used nothing.
    """

    shares: Shares
    usages: Iterable[Usage]
    _standings: dict[Scope, Standing] = field(init=False, default_factory=dict)
    _groups: dict[str, Scope] = field(init=False, default_factory=dict)
    _usual: float = field(init=False, default=UNKNOWN_DURATION)

    def __post_init__(self) -> None:
        members: dict[Scope, list[Usage]] = {}
        for usage in self.usages:
            members.setdefault(self.group_of(usage.scope), []).append(usage)
        self._usual = _mean([usage for group in members.values() for usage in group], UNKNOWN_DURATION)
        self._standings = {group: self._standing(group, usages) for group, usages in members.items()}

    def group_of(self, scope: str) -> Scope:
        """The group of a Scope, given as a string."""
        if scope not in self._groups:
            self._groups[scope] = self.shares.group_of(Scope.from_str(scope))
        return self._groups[scope]

    def standing(self, group: Scope) -> Standing:
        """How a group stands now."""
        return self._standings.get(group) or self._standing(group, ())

    def standings(self) -> list[Standing]:
        """Of every group that used something, or that a share is set for; by name."""
        named = {pattern for pattern in self.shares.by_pattern if pattern != _EVERY}
        return [self.standing(group) for group in sorted(named | set(self._standings))]

    def parts(self, *also: Scope) -> list[Part]:
        """What the groups of `standings`, and these, should have and what they had; by name."""
        every = {standing.group: standing for standing in (*self.standings(), *map(self.standing, also))}
        shares = sum(standing.share for standing in every.values())
        used = sum(standing.used for standing in every.values())
        return [
            Part(str(group), one.share, one.share / shares, one.used / used if used else 0.0, one.used)
            for group, one in sorted(every.items())
        ]

    def turns(self, groups: Collection[Scope], count: int) -> list[Scope]:
        """Whose turns the next ones are, of groups that have work.

        Each turn is of the group that has used least for its share, what it was just given counted as if it ran for as
        long as it is expected to.

        Returns
        -------
        list of Scope
            `count` groups; none if there are none to choose from.
        """
        standings = {group: self.standing(group) for group in groups}
        order = [
            (standing.committed / standing.share, group, standing.committed) for group, standing in standings.items()
        ]
        heapq.heapify(order)
        turns: list[Scope] = []
        while order and len(turns) < count:
            _, group, committed = order[0]
            turns.append(group)
            committed += standings[group].expected
            heapq.heapreplace(order, (committed / standings[group].share, group, committed))
        return turns

    def charge(self, scope: str) -> None:
        """Count one more Task of `scope`, which has been handed out."""
        was = self.standing(self.group_of(scope))
        committed = was.committed + was.expected
        self._standings[was.group] = Standing(was.group, was.share, was.used, committed, was.expected)

    def _standing(self, group: Scope, usages: Collection[Usage]) -> Standing:
        expected = _mean(usages, self._usual)
        live = [seconds for usage in usages for seconds in usage.live]
        ended = sum(usage.seconds for usage in usages)
        window = self.shares.window.total_seconds()
        used = ended + sum(min(seconds, window) for seconds in live)
        committed = ended + sum(min(max(seconds, expected), window) for seconds in live)
        return Standing(group, self.shares.share_of(group), used, committed, expected)


def _mean(usages: Iterable[Usage], otherwise: float) -> float:
    usages = list(usages)
    ended = sum(usage.ended for usage in usages)
    # attempts that end at once must not be taken for free, or a burst of them would be endless
    return max(sum(usage.durations for usage in usages) / ended, 1.0) if ended else otherwise
