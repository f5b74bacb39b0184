"""Who may do what where: every decision about identities and scopes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from alchemiscale_prefect.domain.errors import NotAuthorized, PermissionDenied
from alchemiscale_prefect.domain.scopes import Scope, intersect_scopes


class IdentityKind(StrEnum):
    """What an identity is for; also the audience of its tokens, so that a user's token is no compute token."""

    user = "user"
    compute = "compute"
    admin = "admin"


class Permission(StrEnum):
    """What an identity may do in a scope; each one includes those before it."""

    read = "read"
    """See networks, Tasks and results."""
    write = "write"
    """Also submit, action, cancel, and set weights, states and Strategies."""
    domain = "domain"
    """Also grant and take permissions within the scope."""

    def includes(self, other: "Permission") -> bool:
        """Whether who has this one has `other` too."""
        members = list(Permission)
        return members.index(self) >= members.index(other)


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """A permission in a scope, which may have wildcards."""

    scope: Scope
    permission: Permission = Permission.write

    def covers(self, scope: Scope, permission: Permission) -> bool:
        """Whether it allows `permission` in all of `scope`."""
        return self.permission.includes(permission) and self.scope.is_superset(scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity behind a request, and what its token allows it where."""

    identifier: str
    kind: IdentityKind
    grants: tuple[Grant, ...]
    operator: bool = False
    """Whether it is no identity, but one who has the database itself; such a one administers."""

    @classmethod
    def operating(cls, name: str = "operator") -> Self:
        """Who has the database's own credentials; `name` is what the audit calls them."""
        return cls(name, IdentityKind.admin, (), operator=True)

    @classmethod
    def writing(cls, identifier: str, kind: IdentityKind, scopes: Iterable[Scope]) -> Self:
        """A principal that may write in `scopes`."""
        return cls(identifier, kind, tuple(Grant(scope) for scope in scopes))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Every scope it may read."""
        return tuple(dict.fromkeys(grant.scope for grant in self.grants))

    def may_access(self, scope: Scope, permission: Permission = Permission.read) -> bool:
        """Whether one of the identity's grants covers `scope`."""
        return any(grant.covers(scope, permission) for grant in self.grants)

    def require(self, scope: Scope, permission: Permission = Permission.read) -> None:
        """Raise unless the principal may do this in `scope`.

        Raises
        ------
        NotAuthorized
            The scope is not accessible at all, with alchemiscale's text.
        PermissionDenied
            It is, but for less than `permission`.
        """
        if not self.may_access(scope):
            held = [str(s) for s in self.scopes]
            raise NotAuthorized(
                f"Targeted scope '{scope}' not accessible via scopes for this identity: {held}", field="scope"
            )
        if not self.may_access(scope, permission):
            raise PermissionDenied(
                f"this needs the permission '{permission}' in scope '{scope}', which this identity does not have; "
                "an administrator, or who has 'domain' there, can grant it",
                field="scope",
            )

    def require_all(self, scopes: Iterable[Scope], permission: Permission = Permission.read) -> None:
        """`require` for each distinct scope."""
        for scope in sorted(set(scopes)):
            self.require(scope, permission)

    def require_administrator(self) -> None:
        """Raise `PermissionDenied` unless this is an administrator."""
        if self.kind is not IdentityKind.admin:
            raise PermissionDenied("this is for administrators")

    def require_granting(self, kind: IdentityKind, identifier: str, scope: Scope) -> None:
        """Raise unless the principal may change what an identity may do in `scope`.

        An administrator may always. A user may where it has ``domain`` over all of `scope`, for other users only:
        nobody changes what they themselves may do.

        Raises
        ------
        NotAuthorized
            The scope is not the principal's.
        PermissionDenied
            It is, but without ``domain``; or the identity is its own, or of another kind.
        """
        if self.kind is IdentityKind.admin:
            return
        if self.kind is not IdentityKind.user or kind is not IdentityKind.user:
            raise PermissionDenied(f"only an administrator changes what a {kind} identity may do", field="identifier")
        if identifier == self.identifier:
            raise PermissionDenied("nobody changes what they themselves may do; ask another", field="identifier")
        self.require(scope, Permission.domain)

    def visible(self, query: Scope) -> tuple[Scope, ...]:
        """What of `query` this identity can see; empty if nothing."""
        return intersect_scopes(query, self.scopes)
