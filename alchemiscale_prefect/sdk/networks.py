"""AlchemicalNetworks: submit, find, fetch, weigh."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area, optional_key
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key, as_scoped_keys, batches
from alchemiscale_prefect.sdk.display import waiting
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import AlchemicalNetwork


class Networks(Area):
    """AlchemicalNetworks."""

    def create_network(
        self,
        network: "AlchemicalNetwork",
        scope: Scope,
        state: NetworkState | str = NetworkState.active,
        compress: bool | int = True,
        visualize: bool = True,
    ) -> ScopedKey:
        """Submit an AlchemicalNetwork to a Scope.

        Submitting it again changes nothing: each object is stored once per scope, and the network keeps its state
        and weight.

        Parameters
        ----------
        network
            What to submit. No Transformation may go from a ChemicalSystem to itself.
        scope
            Where to; without wildcards.
        state
            One of ``active``, ``inactive``, ``invalid``, ``deleted``; see `set_network_state`.
        compress
            Whether to send it compressed: ``True`` is level 5, an integer from 0 (not at all) to 9 the level.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ScopedKey
            The network's: its gufe key as it is here, in `scope`.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is sent: a wildcard in the scope, an unknown state, a Transformation
            from a ChemicalSystem to itself, something that gufe cannot write, a `compress` out of range.
        AlchemiscaleClientError
            The API refuses it; nothing was stored.
        """
        scope = as_scope(scope)
        if not scope.specific():
            raise InvalidScope(f"`scope` '{scope}' contains wildcards ('*'); `scope` must be *specific*", field="scope")
        state = NetworkState.parse(state)
        _check(network)
        with waiting(f"Submitting [bold]'{ScopedKey.of(str(network.key), scope)}'[/bold]...", show=visualize):
            response = self._transport.request(
                "POST",
                paths.NETWORKS,
                content=_submission(network, scope, state),
                headers={"Content-Type": "application/json"},
                compress=compress,
            )
        return ScopedKey.from_dict(response.json())

    def query_networks(
        self,
        name: str | None = None,
        scope: Scope | None = None,
        state: NetworkState | str | None = NetworkState.active,
    ) -> list[ScopedKey]:
        """Networks in the Scopes of this identity, by name, Scope and state.

        Parameters
        ----------
        name
            A regular expression that the whole name fits. Default: any name.
        scope
            May have wildcards. Default: every scope.
        state
            A state, or a regular expression that the whole state fits; ``None`` for any.

        Returns
        -------
        list of ScopedKey
            In no particular order.
        """
        params = {"name": name, "state": _state_pattern(state), **as_scope(scope).to_dict()}
        return self._get_keys(paths.NETWORKS, params)

    def get_network(
        self, network: ScopedKey | str, compress: bool = True, visualize: bool = True
    ) -> "AlchemicalNetwork":
        """Fetch an AlchemicalNetwork.

        Parameters
        ----------
        network
            Its ScopedKey.
        compress
            Whether the API sends it compressed.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        AlchemicalNetwork
            Equal to the one submitted; the very same object where that is still alive.

        Raises
        ------
        AlchemiscaleClientError
            There is none of that key, or its scope is not accessible.
        InvalidKeyedChain
            It cannot be decoded here, or is not what its key says.
        """
        key = as_scoped_key(network, "network")
        found: AlchemicalNetwork = self._object(paths.fill(paths.NETWORK, network=key), key, compress, visualize)
        return found

    def get_network_transformations(self, network: ScopedKey | str) -> list[ScopedKey]:
        """Transformations and NonTransformations of a network.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            In no particular order; empty if there is no such network.
        """
        path = paths.NETWORK_TRANSFORMATIONS
        return self._get_keys(paths.fill(path, network=as_scoped_key(network, "network")))

    def get_network_chemicalsystems(self, network: ScopedKey | str) -> list[ScopedKey]:
        """ChemicalSystems of a network.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            In no particular order; empty if there is no such network.
        """
        path = paths.NETWORK_CHEMICAL_SYSTEMS
        return self._get_keys(paths.fill(path, network=as_scoped_key(network, "network")))

    def set_network_state(
        self, network: ScopedKey | str, state: NetworkState | str, *, stop_tasks: bool = False
    ) -> ScopedKey | None:
        """Set the state of a network.

        The state only says whether `query_networks` and `get_scope_status` show the network; its Tasks go on, unless
        `stop_tasks` is given.

        Parameters
        ----------
        network
            Its ScopedKey.
        state
            One of ``active``, ``inactive``, ``invalid``, ``deleted``.
        stop_tasks
            Also take all Tasks off the network, and stop those that run, unless they are actioned on another network
            too. A stopped Task waits; actioned again, it goes on from the ProtocolUnits it had done. Not for
            ``active``.

        Returns
        -------
        ScopedKey or None
            The network's; ``None`` if there is none.

        Raises
        ------
        AlchemiscaleClientError
            There is no such state, or `stop_tasks` is given for ``active``; nothing was changed.
        """
        return self.set_networks_state([network], [state], stop_tasks=stop_tasks)[0]

    def set_networks_state(
        self,
        networks: Sequence[ScopedKey | str],
        states: Sequence[NetworkState | str],
        *,
        stop_tasks: bool = False,
    ) -> list[ScopedKey | None]:
        """Set the states of networks, all or none.

        Parameters
        ----------
        networks
            Their ScopedKeys.
        states
            One for each of `networks`, in the same order; see `set_network_state`.
        stop_tasks
            As in `set_network_state`.

        Returns
        -------
        list of ScopedKey or None
            In the order of `networks`; ``None`` for one that does not exist.
        """
        document = {
            "networks": [str(key) for key in as_scoped_keys(networks, "networks")],
            "states": [str(getattr(state, "value", state)) for state in states],
            # left out where it is not asked for: alchemiscale's own server does not know it
            **({"stop_tasks": True} if stop_tasks else {}),
        }
        return [optional_key(key) for key in self._post(paths.NETWORKS_STATE_SET, document)]

    def get_network_state(self, network: ScopedKey | str) -> str | None:
        """The state of a network.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        str or None
            ``None`` if there is no such network.
        """
        return self.get_networks_state([network])[0]

    def get_networks_state(self, networks: Sequence[ScopedKey | str]) -> list[str | None]:
        """The states of networks.

        Parameters
        ----------
        networks
            Their ScopedKeys.

        Returns
        -------
        list of str or None
            In the order of `networks`; ``None`` for one that does not exist.
        """
        document = {"networks": [str(key) for key in as_scoped_keys(networks, "networks")]}
        states: list[str | None] = self._post(paths.NETWORKS_STATE_GET, document)
        return states

    def get_network_weight(self, network: ScopedKey | str) -> float | None:
        """The weight of a network: its share of the compute, against those of other networks.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        float or None
            Between 0 (none of its Tasks is run) and 1; ``None`` if there is no such network.
        """
        weight: float | None = self._get(paths.fill(paths.NETWORK_WEIGHT, network=as_scoped_key(network, "network")))
        return weight

    def get_networks_weight(self, networks: Sequence[ScopedKey | str], batch_size: int = 1000) -> list[float | None]:
        """The weights of networks.

        Parameters
        ----------
        networks
            Their ScopedKeys.
        batch_size
            How many networks go into one request.

        Returns
        -------
        list of float or None
            In the order of `networks`; ``None`` for one that does not exist.
        """

        def post(batch: list[str]) -> list[float | None]:
            weights: list[float | None] = self._post(paths.NETWORKS_WEIGHT_GET, {"networks": batch})
            return weights

        keys = [str(key) for key in as_scoped_keys(networks, "networks")]
        return [weight for weights in self._transport.fan_out(post, batches(keys, batch_size)) for weight in weights]

    def set_network_weight(self, network: ScopedKey | str, weight: float) -> ScopedKey | None:
        """Set the weight of a network.

        Parameters
        ----------
        network
            Its ScopedKey.
        weight
            Between 0 and 1. With 0 none of its Tasks is run; they stay actioned.

        Returns
        -------
        ScopedKey or None
            The network's; ``None`` if there is none.

        Raises
        ------
        AlchemiscaleClientError
            The weight is not between 0 and 1.
        """
        path = paths.fill(paths.NETWORK_WEIGHT, network=as_scoped_key(network, "network"))
        return optional_key(self._post(path, weight))

    def set_networks_weight(
        self, networks: Sequence[ScopedKey | str], weights: Sequence[float], batch_size: int = 1000
    ) -> list[ScopedKey | None]:
        """Set the weights of networks.

        Parameters
        ----------
        networks
            Their ScopedKeys.
        weights
            One for each of `networks`, in the same order; see `set_network_weight`.
        batch_size
            How many networks go into one request.

        Returns
        -------
        list of ScopedKey or None
            In the order of `networks`; ``None`` for one that does not exist.

        Raises
        ------
        InvalidInput
            Also a ValueError: the lists differ in length; nothing was sent.
        AlchemiscaleClientError
            A weight is not between 0 and 1; no weight was changed.
        """
        keys = [str(key) for key in as_scoped_keys(networks, "networks")]
        if len(keys) != len(weights):
            raise InvalidInput(
                f"`networks` and `weights` must have the same length; there are {len(keys)} networks and "
                f"{len(weights)} weights",
                field="weights",
            )

        def post(batch: list[tuple[str, float]]) -> list[ScopedKey | None]:
            document = {"networks": [key for key, _ in batch], "weights": [weight for _, weight in batch]}
            return [optional_key(key) for key in self._post(paths.NETWORKS_WEIGHT_SET, document)]

        todo = list(batches(list(zip(keys, weights, strict=True)), batch_size))
        refused = [batch for batch in todo if not all(0.0 <= weight <= 1.0 for _, weight in batch)]
        # the API says what is wrong with a weight; it goes first, alone, so that none of the others is set
        for batch in refused:
            post(batch)
        return [key for found in self._transport.fan_out(post, todo) for key in found]


def _check(network: object) -> None:
    from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
    from alchemiscale_prefect.chemistry.networks import check_no_self_transformations

    if not isinstance(network, AlchemicalNetwork):
        raise InvalidInput(
            f"`network` must be an AlchemicalNetwork, not a {type(network).__qualname__}", field="network"
        )
    check_no_self_transformations(network)


def _submission(network: "AlchemicalNetwork", scope: Scope, state: NetworkState) -> bytes:
    """The body of ``POST /networks``. The keyed chain is put in as the text that it is."""
    from alchemiscale_prefect.chemistry import keyed_chains
    from alchemiscale_prefect.chemistry.versions import GUFE_VERSION

    rest = json.dumps({"scope": scope.to_dict(), "state": state.value, "gufe_version": GUFE_VERSION}).encode()
    return b'{"network":' + keyed_chains.to_json(network) + b"," + rest[1:]


def _state_pattern(state: NetworkState | str | None) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
