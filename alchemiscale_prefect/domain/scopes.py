"""Scopes: who may see what. ``org-campaign-project``, with ``*`` as a wildcard from the right."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from alchemiscale_prefect.domain.errors import InvalidScope

MAX_COMPONENT = 128
"""Characters of each part of a Scope: all three must fit into an index of Postgres, many Scopes into a token."""

_COMPONENT = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_NAMES = ("org", "campaign", "project")


def check_component(name: str, value: object) -> None:
    """Raise `InvalidScope` unless `value` may stand as one part of a Scope."""
    if not isinstance(value, str) or _COMPONENT.fullmatch(value) is None:
        raise InvalidScope(
            f"`{name}` is {value!r}; it must begin with a letter and contain only alphanumeric or underscore "
            "('_') characters",
            field=name,
        )
    if len(value) > MAX_COMPONENT:
        raise InvalidScope(
            f"`{name}` begins with {value[:16]!r} and has {len(value)} characters; at most {MAX_COMPONENT} are allowed",
            field=name,
        )


@total_ordering
@dataclass(frozen=True, slots=True, repr=False)
class Scope:
    """An organisation, a campaign in it, a project in that; each may be a wildcard if all to its right are.

    Parameters
    ----------
    org, campaign, project
        A name of letters, digits and underscores that begins with a letter; ``None`` and ``"*"`` are the wildcard.

    Raises
    ------
    InvalidScope
        A part breaks the rules, or a wildcard stands left of a name.
    """

    org: str | None = None
    campaign: str | None = None
    project: str | None = None

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            if value == "*":
                object.__setattr__(self, name, None)
            elif value is not None:
                check_component(name, value)
        parts = self.to_tuple()
        for left, (name, right) in zip(parts, list(zip(_NAMES, parts, strict=True))[1:], strict=False):
            if left is None and right is not None:
                raise InvalidScope(
                    f"`{name}` is {right!r} but a part to its left is a wildcard; "
                    f"scopes are hierarchical: once a part is '*' all later ones must be",
                    field=name,
                )

    @classmethod
    def from_str(cls, string: str) -> "Scope":
        """Read ``org-campaign-project``; `InvalidScope` if it has not exactly three parts."""
        parts = string.split("-")
        if len(parts) != 3:
            raise InvalidScope(f"{string!r} is not a Scope; expected 'org-campaign-project'", field="scope")
        return cls(*parts)

    @classmethod
    def from_dict(cls, dct: dict[str, str | None]) -> "Scope":
        """Inverse of `to_dict`."""
        if not isinstance(dct, dict) or set(dct) - set(_NAMES):
            raise InvalidScope(f"{dct!r} is not a Scope; expected the fields org, campaign and project", field="scope")
        return cls(**dct)

    def to_tuple(self) -> tuple[str | None, str | None, str | None]:
        """The three parts, ``None`` for a wildcard."""
        return (self.org, self.campaign, self.project)

    def to_dict(self) -> dict[str, str | None]:
        """The three parts by name, ``None`` for a wildcard."""
        return dict(zip(_NAMES, self.to_tuple(), strict=True))

    def specific(self) -> bool:
        """Whether no part is a wildcard."""
        return None not in self.to_tuple()

    def is_superset(self, other: "Scope") -> bool:
        """Whether everything in `other` is in this Scope, itself included."""
        return all(mine is None or mine == its for mine, its in zip(self.to_tuple(), other.to_tuple(), strict=True))

    def __str__(self) -> str:
        return "-".join(part or "*" for part in self.to_tuple())

    def __repr__(self) -> str:
        return f"<Scope('{self}')>"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return str(self) < str(other)


def minimize_scopes(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The fewest scopes that cover the same space, sorted."""
    unique = sorted(set(scopes))
    return tuple(s for s in unique if not any(o != s and o.is_superset(s) for o in unique))


def intersect_scopes(query: Scope, held: Iterable[Scope]) -> tuple[Scope, ...]:
    """What of `query` the scopes `held` give access to.

    Returns
    -------
    tuple of Scope
        ``(query,)`` if one held scope covers it, else the minimised held scopes inside it; empty if none is.
    """
    held = tuple(held)
    if any(scope.is_superset(query) for scope in held):
        return (query,)
    return minimize_scopes(scope for scope in held if query.is_superset(scope))
