"""AlchemiscaleAdminClient: identities, keys and permissions, the audit, what computes; and hosts, by its base."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.identities import ApiKey, AuditEntry, Identity
from alchemiscale_prefect.domain.metrics import ComputeMetrics
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.arguments import as_permission, as_scope
from alchemiscale_prefect.sdk.credentials import find_admin_credentials
from alchemiscale_prefect.sdk.hosts import HostAdministration
from alchemiscale_prefect.sdk.people import PeopleAdministration
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire import identities as wire
from alchemiscale_prefect.wire import paths

KEY_BYTES = 32
"""Of a key that is made here, before it is written as text."""


def new_key() -> str:
    """A key that nobody guesses."""
    return secrets.token_urlsafe(KEY_BYTES)


class AlchemiscaleAdminClient(PeopleAdministration, HostAdministration):
    """Administer identities over HTTP; no access to the database is needed.

    Nothing is sent before the first call. Threads may share a client. Identities are of a kind, ``user`` (people),
    ``compute`` (flow runs) or ``admin``; each kind has its own names.

    Parameters
    ----------
    api_url
        Where the API is. Default: the environment variable ``ALCHEMISCALE_URL``.
    identifier
        An admin identity. Default: ``ALCHEMISCALE_ADMIN_ID``.
    key
        Its key. Default: ``ALCHEMISCALE_ADMIN_KEY``.
    max_retries, retry_base_seconds, retry_max_seconds, verify, timeout_seconds
        As for `AlchemiscaleClient`.

    Raises
    ------
    InvalidInput
        Also a ValueError: an API, identifier or key is found nowhere; the URL is none; a number is out of range.

    Examples
    --------
    >>> admin = AlchemiscaleAdminClient()
    >>> key = admin.create_identity("alice", scopes=["my_org-my_campaign-*"], permission="domain")
    """

    def __init__(
        self,
        api_url: str | None = None,
        identifier: str | None = None,
        key: str | None = None,
        max_retries: int = 5,
        retry_base_seconds: float = 2.0,
        retry_max_seconds: float = 60.0,
        verify: bool = True,
        *,
        timeout_seconds: float = 300.0,
    ) -> None:
        found = find_admin_credentials(api_url, identifier, key)
        self.api_url = found.api_url
        self.identifier = found.identifier
        self._transport = Transport(
            found.api_url,
            found.identifier,
            found.key,
            token_path=paths.ADMIN_TOKEN,
            retry=RetryPolicy(max_retries, retry_base_seconds, retry_max_seconds),
            verify=verify,
            timeout_seconds=timeout_seconds,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.api_url}')"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        self._transport.close()

    # --- identities --------------------------------------------------------------------------------------------------

    def list_identities(self, kind: IdentityKind | str | None = None) -> list[Identity]:
        """All identities, or those of a kind.

        Returns
        -------
        list of Identity
            By kind and name.
        """
        params = {"kind": None if kind is None else _kind(kind).value}
        answer = self._transport.request("GET", paths.ADMIN_IDENTITIES, params=params).json()
        return [wire.Identity.model_validate(item).to_domain() for item in answer]

    def get_identity(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> Identity:
        """An identity.

        Raises
        ------
        AlchemiscaleClientError
            There is none of this kind and name (code ``not_found``).
        """
        answer = self._request("GET", paths.ADMIN_IDENTITY, identifier, kind).json()
        return wire.Identity.model_validate(answer).to_domain()

    def create_identity(
        self,
        identifier: str,
        kind: IdentityKind | str = IdentityKind.user,
        scopes: Sequence[Scope | str] | Scope | str = (),
        permission: Permission | str = Permission.write,
        *,
        key: str | None = None,
        email: str | None = None,
        full_name: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Make an identity with a key, which is called ``first``.

        Parameters
        ----------
        identifier
            Its name: printable characters, no space, no slash.
        scopes
            What it may see and use; wildcards are allowed. An admin identity has none.
        permission
            What it may do there: ``read``, ``write`` or ``domain``.
        key
            8 to 4096 printable characters; made here if left out.
        expires_at
            From then on it cannot log in; with a time zone.

        Returns
        -------
        str
            The key. It is kept nowhere else.

        Raises
        ------
        AlchemiscaleClientError
            There is an identity of this kind and name (code ``conflict``), or something is out of range.
        """
        key = new_key() if key is None else key
        body = wire.CreateIdentity(
            kind=_kind(kind),
            identifier=identifier,
            key=key,
            grants=_grants(_several(scopes), permission),
            email=email,
            full_name=full_name,
            expires_at=expires_at,
        )
        document = body.model_dump(mode="json")
        self._transport.request("POST", paths.ADMIN_IDENTITIES, json=document, idempotent=False)
        return key

    def disable_identity(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> None:
        """Bar an identity from logging in; its tokens are refused within seconds."""
        self._request("POST", paths.ADMIN_DISABLE, identifier, kind)

    def enable_identity(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> None:
        """Let an identity that was disabled log in again."""
        self._request("POST", paths.ADMIN_ENABLE, identifier, kind)

    def remove_identity(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> None:
        """Remove an identity with its keys and permissions. What it made stays; another may take its name."""
        self._request("DELETE", paths.ADMIN_IDENTITY, identifier, kind)

    # --- keys --------------------------------------------------------------------------------------------------------

    def list_keys(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> list[ApiKey]:
        """Names and dates of an identity's keys, the newest first."""
        answer = self._request("GET", paths.ADMIN_KEYS, identifier, kind).json()
        return [wire.ApiKey.model_validate(item).to_domain() for item in answer]

    def add_key(
        self,
        identifier: str,
        name: str,
        kind: IdentityKind | str = IdentityKind.user,
        *,
        key: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Give an identity a second key: to replace the one it has, use it everywhere, then revoke the first.

        Parameters
        ----------
        name
            Tells the identity's keys apart.
        key
            8 to 4096 printable characters; made here if left out.
        expires_at
            From then on it does not log in; with a time zone.

        Returns
        -------
        str
            The key. It is kept nowhere else.
        """
        key = new_key() if key is None else key
        body = wire.AddKey(name=name, key=key, expires_at=expires_at).model_dump(mode="json")
        self._request("POST", paths.ADMIN_KEYS, identifier, kind, json=body, idempotent=False)
        return key

    def revoke_key(self, identifier: str, name: str, kind: IdentityKind | str = IdentityKind.user) -> None:
        """Take a key from an identity; the identity's tokens are refused within seconds, and others of its keys log in
        again."""
        self._request("DELETE", paths.ADMIN_KEY, identifier, kind, name=name)

    # --- permissions -------------------------------------------------------------------------------------------------

    def list_grants(self, identifier: str, kind: IdentityKind | str = IdentityKind.user) -> list[Grant]:
        """What an identity may do where, by Scope."""
        answer = self._request("GET", paths.ADMIN_GRANTS, identifier, kind).json()
        return [wire.Grant.model_validate(item).to_domain() for item in answer]

    def grant(
        self,
        identifier: str,
        scopes: Sequence[Scope | str] | Scope | str,
        permission: Permission | str = Permission.write,
        kind: IdentityKind | str = IdentityKind.user,
    ) -> None:
        """Let an identity do something in scopes, instead of what it may do in just these.

        Parameters
        ----------
        permission
            ``read``; ``write``, which includes it; or ``domain``: also grant and revoke within the scope.
        """
        body = [grant.model_dump(mode="json") for grant in _grants(_several(scopes), permission)]
        self._request("POST", paths.ADMIN_GRANTS, identifier, kind, json=body)

    def revoke(
        self,
        identifier: str,
        scopes: Sequence[Scope | str] | Scope | str,
        kind: IdentityKind | str = IdentityKind.user,
    ) -> None:
        """Take scopes from an identity, exactly as they were given; those it has not are no matter."""
        several = [as_scope(scope) for scope in _several(scopes)]
        if not several:
            raise InvalidInput("no scopes were given; name one or more", field="scopes")
        for scope in several:
            self._request("DELETE", paths.ADMIN_GRANT, identifier, kind, scope=scope)

    # --- what happens ------------------------------------------------------------------------------------------------

    def get_audit(
        self, identifier: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Who did what when, the newest first.

        Parameters
        ----------
        identifier
            Only what identities of this name did.
        since
            Only from then on; with a time zone.
        limit
            At most so many, 1 to 10,000.
        """
        params = {"identifier": identifier, "since": None if since is None else since.isoformat(), "limit": limit}
        answer = self._transport.request("GET", paths.ADMIN_AUDIT, params=params).json()
        return [wire.AuditEntry.model_validate(item).to_domain() for item in answer]

    def get_compute_metrics(self, hours: float = 24.0) -> ComputeMetrics:
        """Tasks by status and Scope; attempts by work pool, now and of the last `hours`; what runs now, and where;
        and with fair share, what each group should have and what it had.
        """
        answer = self._transport.request("GET", paths.ADMIN_METRICS, params={"hours": hours}).json()
        return wire.ComputeMetrics.model_validate(answer).to_domain()

    def _request(
        self,
        method: str,
        path: str,
        identifier: str,
        kind: IdentityKind | str,
        *,
        json: Any = None,
        idempotent: bool = True,
        **parts: object,
    ) -> Any:
        filled = paths.fill(path, kind=_kind(kind).value, identity=identifier, **parts)
        return self._transport.request(method, filled, json=json, idempotent=idempotent)


def _kind(kind: IdentityKind | str) -> IdentityKind:
    try:
        return IdentityKind(kind)
    except ValueError as error:
        known = ", ".join(IdentityKind)
        raise InvalidInput(f"{kind!r} is no kind of identity; there are {known}", field="kind") from error


def _several(scopes: Sequence[Scope | str] | Scope | str) -> Sequence[Scope | str]:
    return [scopes] if isinstance(scopes, Scope | str) else scopes


def _grants(scopes: Sequence[Scope | str], permission: Permission | str) -> list[wire.Grant]:
    return [wire.Grant(scope=as_scope(scope), permission=as_permission(permission)) for scope in scopes]
