"""Strategies: which one a network has, and how far it has come."""

import json
from typing import TYPE_CHECKING, Any

import zstandard

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.strategies import (
    StrategyMode,
    StrategyState,
    StrategyTaskScaling,
    StrategyWeighting,
)
from alchemiscale_prefect.sdk.area import Area, optional_key
from alchemiscale_prefect.sdk.arguments import as_scoped_key
from alchemiscale_prefect.sdk.content import Content, Stored
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.objects import GUFE_VERSION
from alchemiscale_prefect.wire.strategies import StrategyProposal

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import GufeTokenizable


class Strategies(Area):
    """Strategies of networks."""

    def set_network_strategy(
        self,
        network: ScopedKey | str,
        strategy: "GufeTokenizable | None",
        max_tasks_per_transformation: int = 3,
        task_scaling: StrategyTaskScaling | str = "exponential",
        mode: StrategyMode | str = "partial",
        sleep_interval: int = 3600,
        *,
        weighting: StrategyWeighting | str = "relative",
    ) -> ScopedKey | None:
        """Give a network a Strategy, which is to create and action Tasks for it.

        It takes the place of the one that the network has, and begins anew, with all that is given here.

        Parameters
        ----------
        network
            Its ScopedKey.
        strategy
            One of `alchemiscale_prefect.strategies`, one of stratocaster's, or another gufe object with a method
            ``propose``; ``None`` to have none.
        max_tasks_per_transformation
            How many Tasks of one Transformation may wait or run for the network at a time.
        task_scaling
            How a Transformation's weight becomes a number of Tasks: ``linear`` or ``exponential``.
        mode
            ``partial`` to create and action Tasks, ``full`` to cancel them too, ``disabled`` for nothing.
        sleep_interval
            Seconds from one iteration to the next, at least. It is performed sooner if results have come and it is
            dormant, or no Task of the network waits any more.
        weighting
            What the Strategy's weights are divided by before: ``relative``, the largest, so that the most wanted
            Transformation gets as many Tasks as any may have; ``share``, their sum, as alchemiscale has it: on a
            network of many Transformations nearly every one then gets one Task at a time.

        Returns
        -------
        ScopedKey or None
            The Strategy's; ``None`` if it was removed.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is sent: `strategy` is no Strategy.
        AlchemiscaleClientError
            There is no such network, or a value is not one of its parameter's; nothing was changed.
        """
        path = paths.fill(paths.NETWORK_STRATEGY, network=as_scoped_key(network, "network"))
        if strategy is None:
            return optional_key(self._post(path, {"strategy": None}))
        rest = {
            "max_tasks_per_transformation": max_tasks_per_transformation,
            "task_scaling": str(getattr(task_scaling, "value", task_scaling)),
            "mode": str(getattr(mode, "value", mode)),
            "weighting": str(getattr(weighting, "value", weighting)),
            "sleep_interval": sleep_interval,
        }
        headers = {"Content-Type": "application/json"}
        response = self._transport.request("POST", path, content=_body(strategy, rest), headers=headers)
        return ScopedKey.from_str(response.json())

    def get_network_strategy(self, network: ScopedKey | str) -> Any:
        """The Strategy of a network.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        Strategy or None
            ``None`` if it has none.

        Raises
        ------
        InvalidKeyedChain, ModuleNotAllowed
            It cannot be decoded here.
        """
        key = as_scoped_key(network, "network")
        path = paths.fill(paths.NETWORK_STRATEGY, network=key)
        # not from the cache: a network may get another one at any time
        response = self._transport.request("GET", path)
        if response.content == b"null":
            return None
        stored = Stored(zstandard.ZstdCompressor().compress(response.content), response.headers.get(GUFE_VERSION))
        return self._contents.decode(Content(key, stored, lambda: stored, from_cache=False))

    def get_network_strategy_state(self, network: ScopedKey | str) -> StrategyState | None:
        """What the Strategy of a network is set to, and how far it has come.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        StrategyState or None
            ``None`` if it has no Strategy.
        """
        path = paths.fill(paths.NETWORK_STRATEGY_STATE, network=as_scoped_key(network, "network"))
        found = self._get(path)
        return None if found is None else StrategyState.from_dict(found)

    def get_network_strategy_status(self, network: ScopedKey | str) -> str | None:
        """Whether the Strategy of a network goes on.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        str or None
            ``awake``, ``dormant`` or ``error``; ``None`` if it has no Strategy.
        """
        path = paths.fill(paths.NETWORK_STRATEGY_STATUS, network=as_scoped_key(network, "network"))
        status: str | None = self._get(path)
        return status

    def set_network_strategy_awake(self, network: ScopedKey | str) -> ScopedKey | None:
        """Have the Strategy of a network go on, whether it is dormant or failed.

        It forgets the failure, and is performed with the server's next run of Strategies, whatever its interval.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        ScopedKey or None
            The network's; ``None`` if it has no Strategy.
        """
        path = paths.fill(paths.NETWORK_STRATEGY_AWAKE, network=as_scoped_key(network, "network"))
        return optional_key(self._post(path, {}))

    def get_network_strategy_proposal(self, network: ScopedKey | str) -> StrategyProposal | None:
        """What the last iteration of a network's Strategy has done, and why.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        StrategyProposal or None
            For each Transformation its weight, how many Tasks it was to have and had, what was created, actioned and
            cancelled, and why; ``None`` before the first iteration, or if the network has no Strategy.
        """
        path = paths.fill(paths.NETWORK_STRATEGY_PROPOSAL, network=as_scoped_key(network, "network"))
        found = self._get(path)
        return None if found is None else StrategyProposal.model_validate(found)


def _body(strategy: object, rest: dict[str, Any]) -> bytes:
    """The body that sets a Strategy. The keyed chain is put in as the text that it is."""
    from alchemiscale_prefect.chemistry import keyed_chains, versions
    from alchemiscale_prefect.chemistry.base import GufeTokenizable

    if not isinstance(strategy, GufeTokenizable) or not callable(getattr(strategy, "propose", None)):
        raise InvalidInput(
            f"`strategy` must be a Strategy, as stratocaster has them, or None, not {type(strategy).__qualname__}",
            field="strategy",
        )
    settings = json.dumps({**rest, "gufe_version": versions.GUFE_VERSION}).encode()
    return b'{"strategy":' + keyed_chains.to_json(strategy) + b"," + settings[1:]
