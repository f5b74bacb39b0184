"""Administration: identities, keys, permissions, the audit, and what computes."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import AdminPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import audit, grants, identities, metrics
from alchemiscale_prefect.wire import identities as wire
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["admin"])

_NO_CONTENT = 204


@router.get(paths.ADMIN_IDENTITIES)
def list_identities(
    system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind | None = None
) -> list[wire.Identity]:
    """All identities, or those of a kind."""
    return [wire.Identity.model_validate(item) for item in identities.every(system.database, principal, kind)]


@router.post(paths.ADMIN_IDENTITIES, status_code=_NO_CONTENT, openapi_extra=documented(wire.CreateIdentity))
def create_identity(
    system: CurrentSystem,
    principal: AdminPrincipal,
    body: Annotated[wire.CreateIdentity, Depends(json_body(wire.CreateIdentity))],
) -> None:
    """Make an identity, with its first key."""
    identities.create(
        system.database,
        principal,
        body.kind,
        body.identifier,
        body.key,
        [grant.to_domain() for grant in body.grants],
        email=body.email,
        full_name=body.full_name,
        expires_at=body.expires_at,
    )


@router.get(paths.ADMIN_IDENTITY)
def get_identity(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str) -> wire.Identity:
    """An identity."""
    return wire.Identity.model_validate(identities.get(system.database, principal, kind, identity))


@router.post(paths.ADMIN_IDENTITY, status_code=_NO_CONTENT, openapi_extra=documented(wire.SetIdentity))
def set_identity(
    system: CurrentSystem,
    principal: AdminPrincipal,
    kind: IdentityKind,
    identity: str,
    body: Annotated[wire.SetIdentity, Depends(json_body(wire.SetIdentity))],
) -> None:
    """Change who an identity is said to be, and when it ends; what is left out stays."""
    identities.change(system.database, principal, kind, identity, body.given())


@router.delete(paths.ADMIN_IDENTITY, status_code=_NO_CONTENT)
def remove_identity(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str) -> None:
    """Remove an identity with its keys and permissions; what it made stays."""
    identities.remove(system.database, principal, kind, identity)


@router.post(paths.ADMIN_DISABLE, status_code=_NO_CONTENT)
def disable_identity(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str) -> None:
    """Bar an identity from logging in."""
    identities.set_disabled(system.database, principal, kind, identity, True)


@router.post(paths.ADMIN_ENABLE, status_code=_NO_CONTENT)
def enable_identity(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str) -> None:
    """Let an identity log in again."""
    identities.set_disabled(system.database, principal, kind, identity, False)


@router.get(paths.ADMIN_KEYS)
def list_keys(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str) -> list[wire.ApiKey]:
    """Names and dates of an identity's keys."""
    found = identities.keys(system.database, principal, kind, identity)
    return [wire.ApiKey.model_validate(key) for key in found]


@router.post(paths.ADMIN_KEYS, status_code=_NO_CONTENT, openapi_extra=documented(wire.AddKey))
def add_key(
    system: CurrentSystem,
    principal: AdminPrincipal,
    kind: IdentityKind,
    identity: str,
    body: Annotated[wire.AddKey, Depends(json_body(wire.AddKey))],
) -> None:
    """Give an identity one more key."""
    identities.add_key(system.database, principal, kind, identity, body.name, body.key, expires_at=body.expires_at)


@router.delete(paths.ADMIN_KEY, status_code=_NO_CONTENT)
def revoke_key(system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str, name: str) -> None:
    """Take a key from an identity."""
    identities.revoke_key(system.database, principal, kind, identity, name)


@router.get(paths.ADMIN_GRANTS)
def list_grants(
    system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str
) -> list[wire.Grant]:
    """What an identity may do where."""
    found = grants.of_identity(system.database, principal, kind, identity)
    return [wire.Grant.model_validate(grant) for grant in found]


@router.post(paths.ADMIN_GRANTS, status_code=_NO_CONTENT, openapi_extra=documented(list[wire.Grant]))
def add_grants(
    system: CurrentSystem,
    principal: AdminPrincipal,
    kind: IdentityKind,
    identity: str,
    body: Annotated[list[wire.Grant], Depends(json_body(list[wire.Grant]))],
) -> None:
    """Let an identity do something in scopes, instead of what it may do in just these."""
    given = [grant.to_domain() for grant in body]
    grants.grant(system.database, principal, kind, identity, given)


@router.delete(paths.ADMIN_GRANT, status_code=_NO_CONTENT)
def revoke_grant(
    system: CurrentSystem, principal: AdminPrincipal, kind: IdentityKind, identity: str, scope: str
) -> None:
    """Take a scope from an identity, exactly as it was given."""
    grants.revoke(system.database, principal, kind, identity, [Scope.from_str(scope)])


@router.get(paths.ADMIN_AUDIT)
def list_audit(
    system: CurrentSystem,
    principal: AdminPrincipal,
    identifier: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[wire.AuditEntry]:
    """Who did what when, the newest first."""
    found = audit.newest(system.database, principal, identifier=identifier, since=since, before=before, limit=limit)
    return [wire.AuditEntry.model_validate(entry) for entry in found]


@router.get(paths.ADMIN_METRICS)
def get_compute_metrics(system: CurrentSystem, principal: AdminPrincipal, hours: float = 24.0) -> wire.ComputeMetrics:
    """Tasks by status and scope; attempts by work pool; what runs now; fair share."""
    return wire.ComputeMetrics.model_validate(metrics.compute(system.database, principal, hours, system.api.fair_share))
