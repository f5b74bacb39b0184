"""ScopedKeys: a gufe key (``Prefix-token``) in a specific Scope."""

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScopedKey
from alchemiscale_prefect.domain.scopes import Scope, check_component

_GUFE_KEY = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9_]+")


class InvalidGufeKey(InvalidInput):
    """A string that is not ``<prefix>-<token>``."""

    code = "invalid_gufe_key"


def check_gufe_key(key: object) -> str:
    """`key` itself, if it is ``<prefix>-<token>`` of letters, digits and underscores.

    Raises
    ------
    InvalidGufeKey
    """
    if not isinstance(key, str) or _GUFE_KEY.fullmatch(key) is None:
        raise InvalidGufeKey(
            f"{key!r} is not a gufe key; expected '<prefix>-<token>' of letters, digits and underscores",
            field="gufe_key",
        )
    return key


def _specific_scope(org: str, campaign: str, project: str) -> Scope:
    try:
        return _known_scope(org, campaign, project)
    except TypeError:  # what cannot be hashed is no name either; this says which
        return _known_scope.__wrapped__(org, campaign, project)


# lists of thousands of keys have a few scopes
@lru_cache(1024)
def _known_scope(org: str, campaign: str, project: str) -> Scope:
    for name, value in (("org", org), ("campaign", campaign), ("project", project)):
        check_component(name, value)
    return Scope(org, campaign, project)


@total_ordering
@dataclass(frozen=True, slots=True, repr=False)
class ScopedKey:
    """The name of an object in the system: ``Prefix-token-org-campaign-project``.

    Parameters
    ----------
    gufe_key
        ``<prefix>-<token>``; the prefix is the object's qualname (`AlchemicalNetwork`, `Task`, …).
    org, campaign, project
        A specific Scope; wildcards are refused.

    Raises
    ------
    InvalidGufeKey, InvalidScope
    """

    gufe_key: str
    org: str
    campaign: str
    project: str

    def __post_init__(self) -> None:
        check_gufe_key(self.gufe_key)
        if type(self.gufe_key) is not str:
            # gufe's GufeKey is a str subclass; a plain str compares, pickles and prints alike without importing gufe
            object.__setattr__(self, "gufe_key", str(self.gufe_key))
        _specific_scope(self.org, self.campaign, self.project)

    @classmethod
    def from_str(cls, string: "str | ScopedKey") -> "ScopedKey":
        """Read ``Prefix-token-org-campaign-project``.

        Raises
        ------
        InvalidScopedKey
            Not five parts.
        InvalidGufeKey, InvalidScope
            A part breaks its rules.
        """
        if isinstance(string, ScopedKey):
            return string
        if not isinstance(string, str) or string.count("-") != 4:
            raise InvalidScopedKey("input does not appear to be a `ScopedKey`")
        return cls(*string.rsplit("-", 3))

    @classmethod
    def from_dict(cls, dct: dict[str, str]) -> "ScopedKey":
        """Inverse of `to_dict`; accepts the string form too."""
        if isinstance(dct, str):
            return cls.from_str(dct)
        try:
            return cls(dct["gufe_key"], dct["org"], dct["campaign"], dct["project"])
        except (KeyError, TypeError) as error:
            raise InvalidScopedKey("input does not appear to be a `ScopedKey`") from error

    @classmethod
    def of(cls, gufe_key: str, scope: Scope) -> "ScopedKey":
        """The key in a specific `scope`.

        Raises
        ------
        InvalidScopedKey
            The scope has wildcards.
        """
        org, campaign, project = scope.to_tuple()
        if org is None or campaign is None or project is None:
            raise InvalidScopedKey(
                "Scope for a ScopedKey must be specific; it cannot contain wildcards.", field="scope"
            )
        return cls(gufe_key, org, campaign, project)

    @property
    def scope(self) -> Scope:
        """The Scope the object lives in."""
        return _specific_scope(self.org, self.campaign, self.project)

    @property
    def qualname(self) -> str:
        """The class of the object, the part before the first dash."""
        return self.gufe_key.split("-", 1)[0]

    def to_dict(self) -> dict[str, str]:
        """The four parts by name, as alchemiscale's wire carries them."""
        return {"gufe_key": self.gufe_key, "org": self.org, "campaign": self.campaign, "project": self.project}

    def __str__(self) -> str:
        return f"{self.gufe_key}-{self.org}-{self.campaign}-{self.project}"

    def __repr__(self) -> str:
        return f"<ScopedKey('{self}')>"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, ScopedKey):
            return NotImplemented
        return str(self) < str(other)
