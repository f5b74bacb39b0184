"""Who may do what in a Scope: for those who have ``domain`` over it."""

from alchemiscale_prefect.domain.access import Permission
from alchemiscale_prefect.domain.identities import Access
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_permission, as_scope
from alchemiscale_prefect.wire import identities as wire
from alchemiscale_prefect.wire import paths


class Grants(Area):
    """Permissions of other users."""

    def get_scope_grants(self, scope: Scope | str) -> list[Access]:
        """Who may do what in a Scope, or in a part of it; you need ``domain`` over it.

        Parameters
        ----------
        scope
            May have wildcards.

        Returns
        -------
        list of Access
            Each has `identifier`, `kind` and `grant` (`scope`, `permission`); by Scope and name. Wider grants, which
            hold in this Scope too, are among them.
        """
        answer = self._get(paths.fill(paths.SCOPE_GRANTS, scope=as_scope(scope)))
        return [wire.Access.model_validate(item).to_domain() for item in answer]

    def grant_scope(self, identifier: str, scope: Scope | str, permission: Permission | str = Permission.write) -> None:
        """Let another user do something in a Scope that you have ``domain`` over.

        Parameters
        ----------
        identifier
            A user identity, not your own.
        scope
            Within what you have ``domain`` over; may have wildcards there.
        permission
            ``read``, ``write`` or ``domain``; replaces what the user may do in just this Scope.

        Raises
        ------
        AlchemiscaleClientError
            You may not (codes ``not_authorized``, ``permission_denied``), or there is no such user (``not_found``).
        """
        body = wire.GiveGrant(identifier=identifier, permission=as_permission(permission))
        path = paths.fill(paths.SCOPE_GRANTS, scope=as_scope(scope))
        self._transport.request("POST", path, json=body.model_dump(mode="json"))

    def revoke_scope(self, identifier: str, scope: Scope | str) -> None:
        """Take a Scope from another user; you need ``domain`` over it.

        Parameters
        ----------
        identifier
            A user identity, not your own.
        scope
            Exactly as it was given; one that the user has not is no matter.
        """
        path = paths.fill(paths.SCOPE_GRANT, scope=as_scope(scope), identity=identifier)
        self._transport.request("DELETE", path)
