"""Bodies about identities, their keys and permissions, the audit, and what computes."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from alchemiscale_prefect.domain import access, identities, metrics
from alchemiscale_prefect.domain.access import IdentityKind, Permission
from alchemiscale_prefect.domain.shares import Part
from alchemiscale_prefect.wire.fields import ScopeName


class _Answer(BaseModel):
    """Made from a value of `domain`, field by field."""

    model_config = ConfigDict(from_attributes=True)


class Grant(_Answer):
    """What an identity may do in a Scope."""

    scope: ScopeName
    permission: Permission = Permission.write

    def to_domain(self) -> access.Grant:
        """The value."""
        return access.Grant(self.scope, self.permission)


class GiveGrant(BaseModel):
    """``POST /scopes/{scope}/grants``."""

    identifier: str
    permission: Permission = Permission.write


class Access(_Answer):
    """An identity's grant."""

    kind: IdentityKind
    identifier: str
    grant: Grant

    def to_domain(self) -> identities.Access:
        """The value."""
        return identities.Access(self.kind, self.identifier, self.grant.to_domain())


class CreateIdentity(BaseModel):
    """``POST /admin/identities``."""

    kind: IdentityKind
    identifier: str
    key: str = Field(repr=False)
    grants: list[Grant] = []
    email: str | None = None
    full_name: str | None = None
    expires_at: datetime | None = None


class SetIdentity(BaseModel):
    """``POST /admin/identities/{kind}/{identity}``: what is left out stays, and ``null`` takes it away."""

    email: str | None = None
    full_name: str | None = None
    expires_at: datetime | None = None

    def given(self) -> dict[str, str | datetime | None]:
        """What is to be changed."""
        return {field: getattr(self, field) for field in sorted(self.model_fields_set)}


class Identity(_Answer):
    """An identity as an administrator sees it."""

    kind: IdentityKind
    identifier: str
    grants: list[Grant]
    email: str | None
    full_name: str | None
    disabled: bool
    expires_at: datetime | None
    created_at: datetime

    def to_domain(self) -> identities.Identity:
        """The value."""
        return identities.Identity(
            self.kind,
            self.identifier,
            tuple(grant.to_domain() for grant in self.grants),
            self.email,
            self.full_name,
            self.disabled,
            self.expires_at,
            self.created_at,
        )


class AddKey(BaseModel):
    """``POST /admin/identities/{kind}/{identity}/keys``."""

    name: str
    key: str = Field(repr=False)
    expires_at: datetime | None = None


class ApiKey(_Answer):
    """A key, without its secret."""

    name: str
    expires_at: datetime | None
    created_at: datetime

    def to_domain(self) -> identities.ApiKey:
        """The value."""
        return identities.ApiKey(self.name, self.expires_at, self.created_at)


class AuditEntry(_Answer):
    """Something that somebody did."""

    id: int
    at: datetime
    kind: str
    identifier: str
    action: str
    scope: str | None
    target: str | None
    details: dict[str, Any] | None

    def to_domain(self) -> identities.AuditEntry:
        """The value."""
        return identities.AuditEntry(**dict(self))


class PoolMetrics(_Answer):
    """Attempts in a work pool."""

    pool: str
    dispatched: int
    running: int
    ended: dict[str, int]


class RunningAttempt(_Answer):
    """An execution of a Task that runs now."""

    task: str
    n: int
    pool: str
    host: str | None
    started_at: datetime | None


class GroupShare(_Answer):
    """What a group of Scopes should have of the compute, and what it had."""

    group: str
    share: float
    due: float
    used: float
    seconds: float


class ComputeMetrics(_Answer):
    """What computes, and how it goes."""

    hours: float
    tasks: dict[str, dict[str, int]]
    pools: list[PoolMetrics]
    running: list[RunningAttempt]
    shares: list[GroupShare] = []

    def to_domain(self) -> metrics.ComputeMetrics:
        """The value."""
        return metrics.ComputeMetrics(
            self.hours,
            self.tasks,
            tuple(metrics.PoolMetrics(**dict(pool)) for pool in self.pools),
            tuple(metrics.RunningAttempt(**dict(attempt)) for attempt in self.running),
            tuple(Part(**dict(group)) for group in self.shares),
        )
