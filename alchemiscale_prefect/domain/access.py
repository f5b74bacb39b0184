"""Who may do what where: every decision about identities and scopes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from alchemiscale_prefect.domain.errors import NotAuthorized
from alchemiscale_prefect.domain.scopes import Scope, intersect_scopes


class IdentityKind(StrEnum):
    """What an identity is for; also the audience of its tokens, so that a user's token is no compute token."""

    user = "user"
    compute = "compute"


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity behind a request and the scopes its token carries."""

    identifier: str
    kind: IdentityKind
    scopes: tuple[Scope, ...]

    def may_access(self, scope: Scope) -> bool:
        """Whether one of the identity's scopes covers `scope`."""
        return any(held.is_superset(scope) for held in self.scopes)

    def require(self, scope: Scope) -> None:
        """Raise `NotAuthorized`, with alchemiscale's text, unless `scope` is accessible."""
        if not self.may_access(scope):
            held = [str(s) for s in self.scopes]
            raise NotAuthorized(
                f"Targeted scope '{scope}' not accessible via scopes for this identity: {held}", field="scope"
            )

    def require_all(self, scopes: Iterable[Scope]) -> None:
        """`require` for each distinct scope."""
        for scope in sorted(set(scopes)):
            self.require(scope)

    def visible(self, query: Scope) -> tuple[Scope, ...]:
        """What of `query` this identity can see; empty if nothing."""
        return intersect_scopes(query, self.scopes)
