"""Hosts, for administrators: which run Tasks, how that goes, and which may not."""

from datetime import datetime

from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire import hosts as wire
from alchemiscale_prefect.wire import paths


class HostAdministration:
    """What `AlchemiscaleAdminClient` does with hosts."""

    _transport: Transport

    def list_hosts(self) -> wire.Hosts:
        """Hosts, work pools and images that were active lately, with what failed on them; and who may not run Tasks.

        Returns
        -------
        wire.hosts.Hosts
            `hosts`, `pools` and `images`, by name; times in UTC.
        """
        return wire.Hosts.model_validate(self._transport.request("GET", paths.ADMIN_HOSTS).json())

    def ban_host(self, host: str, reason: str, until: datetime | None = None) -> None:
        """Let nothing begin on a host; what runs there goes on.

        Parameters
        ----------
        host
            As `list_hosts` names it; one that has run nothing yet may be banned too.
        reason
            For flow runs that are refused, and for other operators.
        until
            With a time zone. Default: until it is pardoned.
        """
        body = wire.BanHost(host=host, reason=reason, until=until).model_dump(mode="json")
        self._transport.request("POST", paths.ADMIN_HOST_BAN, json=body)

    def pardon_host(self, host: str) -> None:
        """Let a host run everything again; what failed on it until now does not count any more.

        Raises
        ------
        AlchemiscaleClientError
            Nothing is known against it (code ``not_found``).
        """
        body = wire.PardonHost(host=host).model_dump(mode="json")
        self._transport.request("POST", paths.ADMIN_HOST_PARDON, json=body)
