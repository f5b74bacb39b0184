"""Who an identity is, for administrators: what may change of it after it was made."""

from datetime import datetime
from enum import Enum, auto
from typing import Final

from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire import identities as wire
from alchemiscale_prefect.wire import paths


class Unchanged(Enum):
    """What is left out stays; ``None`` would take it away."""

    unchanged = auto()


UNCHANGED: Final = Unchanged.unchanged


class PeopleAdministration:
    """What `AlchemiscaleAdminClient` does with who identities are."""

    _transport: Transport

    def set_identity(
        self,
        identifier: str,
        kind: IdentityKind | str = IdentityKind.user,
        *,
        email: str | Unchanged | None = UNCHANGED,
        full_name: str | Unchanged | None = UNCHANGED,
        expires_at: datetime | Unchanged | None = UNCHANGED,
    ) -> None:
        """Change who an identity is said to be, and when it ends.

        Parameters
        ----------
        email, full_name
            ``None`` takes it away; left out, it stays.
        expires_at
            From then on it cannot log in; with a time zone. ``None``: it does not end. With another end the tokens it
            has are refused within seconds, and it logs in again.

        Raises
        ------
        AlchemiscaleClientError
            There is no such identity (code ``not_found``), nothing was to be changed (``invalid_input``), or an
            administrator would set its own end (``permission_denied``).
        """
        given = {"email": email, "full_name": full_name, "expires_at": expires_at}
        body = wire.SetIdentity.model_validate(
            {field: value for field, value in given.items() if not isinstance(value, Unchanged)}
        )
        path = paths.fill(paths.ADMIN_IDENTITY, kind=str(IdentityKind(kind)), identity=identifier)
        document = body.model_dump(mode="json", exclude_unset=True)
        self._transport.request("POST", path, json=document)
