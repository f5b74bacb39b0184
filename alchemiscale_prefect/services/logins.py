"""Logging in, and whether what came of a login still counts."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import structlog

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import NotAuthenticated
from alchemiscale_prefect.domain.identities import names_an_identity
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import api_keys
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import identities

log = structlog.get_logger(__name__)

Stamp: TypeAlias = tuple[int, int]
"""Id and version of an identity. It only grows: with each change of the identity's rights and keys, and where an
identity is removed and another one takes its name."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who showed a right key.

    Attributes
    ----------
    stamp
        What the identity's tokens carry from now on, until something about it changes.
    expires_at
        When the identity or the key expires, whichever is sooner; no token may be good for longer.
    """

    principal: Principal
    stamp: Stamp
    expires_at: datetime | None


def authenticate(database: Database, kind: IdentityKind, identifier: str, key: str) -> Login:
    """Who is behind a name and a key.

    Raises
    ------
    NotAuthenticated
        No such identity, a wrong or expired key, disabled or expired: all with one text and at one cost, so that nobody
        learns which names there are.
    """
    known, keys = None, []
    if names_an_identity(identifier):
        with database.transaction() as connection:
            known = identities.find(connection, kind, identifier)
            if known is not None and not (known.disabled or known.expired):
                keys = [row for row in identities.keys(connection, known.id) if not row.expired]
    number = api_keys.find(key, [row.hash for row in keys])
    if known is None or number is None:
        # a name that nobody has is not logged: it may be a key, in the wrong field
        log.warning("login_refused", kind=kind.value, identifier=None if known is None else known.identifier)
        raise NotAuthenticated("Incorrect identity or key")
    limits = [moment for moment in (known.expires_at, keys[number].expires_at) if moment is not None]
    grants = tuple(
        Grant(Scope.from_str(scope), Permission(permission)) for scope, permission in sorted(known.grants.items())
    )
    return Login(Principal(known.identifier, kind, grants), (known.id, known.version), min(limits) if limits else None)


class Stamps:
    """Which tokens still count. The database is asked once in a few seconds for each identity, by each process.

    Parameters
    ----------
    seconds
        For how long an answer holds: a change of an identity counts everywhere after this long.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._known: dict[tuple[IdentityKind, str], tuple[Stamp, float]] = {}

    def learn(self, kind: IdentityKind, identifier: str, stamp: Stamp) -> None:
        """Note an identity's stamp as it was just read."""
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[kind, identifier] = (stamp, time.monotonic() + self._seconds)

    def remembered(self, kind: IdentityKind, identifier: str, stamp: Stamp) -> bool | None:
        """Whether a token with this stamp counts, without asking the database; ``None`` if it has to be asked."""
        current, until = self._known.get((kind, identifier), ((0, 0), 0.0))
        if time.monotonic() >= until or stamp > current:
            # a newer stamp than ours: a change that we have not heard of, and a login after it
            return None
        return stamp == current

    def asked(self, kind: IdentityKind, identifier: str, stamp: Stamp) -> bool:
        """Whether a token with this stamp counts, as the database says."""
        with self._database.transaction() as connection:
            current = identities.version(connection, kind, identifier)
        if current is None:
            self._known.pop((kind, identifier), None)
            return False
        self.learn(kind, identifier, current)
        return stamp == current
