"""Networks made of others: copied to another Scope, merged, extended. Nothing is computed again."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key, as_scoped_keys
from alchemiscale_prefect.sdk.display import waiting
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import NonTransformation, Transformation


class Copies(Area):
    """Networks made of others.

    Copied and merged networks take along the complete Tasks of their Transformations and all results of these. The
    new Tasks have keys of their own. Results are shared with those they were copied from: they take no room, and stay
    whatever becomes of the others. Weights, priorities of what is not complete, actions, Strategies and restart
    patterns stay behind.
    """

    def copy_network(
        self,
        network: ScopedKey | str,
        scope: Scope,
        name: str | None = None,
        state: NetworkState | str = NetworkState.active,
        visualize: bool = True,
    ) -> ScopedKey:
        """Copy a network to another Scope, with its complete Tasks and their results.

        Copying it again adds what was completed since, and nothing else.

        Parameters
        ----------
        network
            Its ScopedKey. Its state must be ``active``.
        scope
            Where to; without wildcards. You need the permission to write there.
        name
            Of the copy, which gets another key by it. Default: the same name.
        state
            Of the copy. One that is there already keeps its own.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ScopedKey
            The copy's.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is sent: a wildcard in the scope, an unknown state.
        AlchemiscaleClientError
            The network is not there or not active, the scope not yours or of another gufe major line. Nothing was
            changed.
        """
        key = as_scoped_key(network, "network")
        if name is not None:
            return self.merge_networks([key], name, scope, state, visualize)
        return self._copy([key], scope, state, visualize)[0]

    def merge_networks(
        self,
        networks: Sequence[ScopedKey | str],
        name: str,
        scope: Scope,
        state: NetworkState | str = NetworkState.active,
        visualize: bool = True,
    ) -> ScopedKey:
        """Make one network of several, with their complete Tasks and the results of these.

        Parameters
        ----------
        networks
            Their ScopedKeys, of any Scopes. Their states must be ``active``.
        name
            Of the new network.
        scope
            Where to; without wildcards. Networks that are in it already share their Tasks with the new one.
        state
            Of the new network. One that is there already keeps its own.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ScopedKey
            The new network's.

        Raises
        ------
        InvalidInput
            Also a ValueError: `networks` is empty, a wildcard is in the scope, the state is unknown.
        AlchemiscaleClientError
            See `copy_network`.
        """
        keys = list(dict.fromkeys(as_scoped_keys(networks, "networks")))
        if not keys:
            raise InvalidInput("`networks` is empty; name at least one network to merge", field="networks")
        document = {"networks": [str(key) for key in keys], **_target(scope, state)}
        with waiting(f"Merging {len(keys)} [bold]AlchemicalNetwork[/bold]s into '{scope}'...", show=visualize):
            nodes = self._members(paths.NETWORK_CHEMICAL_SYSTEMS, keys)
            edges = self._members(paths.NETWORK_TRANSFORMATIONS, keys)
            document.update(_made(nodes, edges, name))
            return ScopedKey.from_dict(self._post(paths.NETWORKS_MERGE, document))

    def merge_scopes(self, scopes: Sequence[Scope], target_scope: Scope, visualize: bool = True) -> list[ScopedKey]:
        """Copy every active network of some Scopes to another one, all or none; see `copy_network`.

        Parameters
        ----------
        scopes
            Where from; may have wildcards. Of these, what you may read.
        target_scope
            Where to; without wildcards. Networks that are in it already are not among those to copy.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        list of ScopedKey
            Of the networks in `target_scope`, each once, in the order of the keys.

        Raises
        ------
        InvalidInput, AlchemiscaleClientError
            See `copy_network`.
        """
        if isinstance(scopes, Scope | str):
            raise InvalidScope(f"`scopes` must be a list of Scopes; got one: '{scopes}'", field="scopes")
        target = as_scope(target_scope)
        _target(target, NetworkState.active)
        found: set[ScopedKey] = set()
        for scope in map(as_scope, scopes):
            found.update(self._get_keys(paths.NETWORKS, {"state": NetworkState.active.value, **scope.to_dict()}))
        keys = sorted(key for key in found if key.scope != target)
        return sorted(set(self._copy(keys, target, NetworkState.active, visualize))) if keys else []

    def extend_network(
        self,
        network: ScopedKey | str,
        transformations: "Iterable[Transformation | NonTransformation]",
        *,
        name: str | None = None,
        visualize: bool = True,
    ) -> ScopedKey:
        """Make a larger network of one: its Transformations and more, in the same Scope.

        A network cannot change; this makes another one, with a link to the first, its *ancestor* (see
        `get_network_ancestors`), and with its weight and state. The Transformations of both are the same objects: Tasks
        and results of the one are also those of the other. Tasks stay actioned on the network that they were actioned
        on; action them on the new network too if that is to go on in the other's place.

        Parameters
        ----------
        network
            Its ScopedKey.
        transformations
            What to add. What the network has already is left out.
        name
            Of the new network. Default: that of its ancestor.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ScopedKey
            The new network's; that of `network` itself if nothing is new. A network that is there already, made in
            whatever way, stays as it is.

        Raises
        ------
        InvalidInput
            Also a ValueError: something is no Transformation, or goes from a ChemicalSystem to itself.
        GufeVersionConflict
            The network was made by gufe's other major line.
        AlchemiscaleClientError
            There is no such network, or its scope is not yours to write in.
        """
        key = as_scoped_key(network, "network")
        added = _checked(transformations)
        with waiting(f"Extending [bold]'{key}'[/bold]...", show=visualize):
            old = self._transport.request("GET", paths.fill(paths.NETWORK, network=key)).content
            body = _extension(old, added, name, key)
            if body is None:
                return key
            response = self._transport.request(
                "POST", paths.NETWORKS, content=body, headers={"Content-Type": "application/json"}, compress=True
            )
        return ScopedKey.from_dict(response.json())

    def get_network_ancestors(self, network: ScopedKey | str) -> list[ScopedKey]:
        """The networks that a network was extended from.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            The nearest first, the oldest last; empty if it was not made by `extend_network`.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network.
        """
        return self._get_keys(paths.fill(paths.NETWORK_ANCESTORS, network=as_scoped_key(network, "network")))

    def _copy(
        self, keys: Sequence[ScopedKey], scope: Scope, state: NetworkState | str, visualize: bool
    ) -> list[ScopedKey]:
        document = {"networks": [str(key) for key in keys], **_target(scope, state)}
        what = f"[bold]'{keys[0]}'[/bold]" if len(keys) == 1 else f"{len(keys)} [bold]AlchemicalNetwork[/bold]s"
        with waiting(f"Copying {what} to '{scope}'...", show=visualize):
            return [ScopedKey.from_str(key) for key in self._post(paths.NETWORKS_COPY, document)]

    def _members(self, path: str, networks: Sequence[ScopedKey]) -> set[str]:
        listed = self._transport.fan_out(lambda key: self._get_keys(paths.fill(path, network=key)), networks)
        return {key.gufe_key for keys in listed for key in keys}


def _target(scope: Scope, state: NetworkState | str) -> dict[str, object]:
    scope = as_scope(scope)
    if not scope.specific():
        raise InvalidScope(f"`scope` '{scope}' contains wildcards ('*'); `scope` must be *specific*", field="scope")
    return {"scope": scope.to_dict(), "state": NetworkState.parse(state).value}


def _made(nodes: set[str], edges: set[str], name: str) -> dict[str, object]:
    """The new network itself, which gufe must give a key."""
    from alchemiscale_prefect.chemistry.networks import network_pair
    from alchemiscale_prefect.chemistry.versions import GUFE_VERSION

    return {"network": network_pair(nodes, edges, name), "gufe_version": GUFE_VERSION}


def _checked(
    transformations: "Iterable[Transformation | NonTransformation]",
) -> "list[Transformation | NonTransformation]":
    from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
    from alchemiscale_prefect.chemistry.networks import check_no_self_transformations

    if isinstance(transformations, Transformation | NonTransformation):
        raise InvalidInput("`transformations` must be a list of Transformations; got one", field="transformations")
    added = list(transformations)
    for edge in added:
        if not isinstance(edge, Transformation | NonTransformation):
            raise InvalidInput(
                f"`transformations` must be Transformations, not a {type(edge).__qualname__}", field="transformations"
            )
    check_no_self_transformations(AlchemicalNetwork(edges=added))
    return added


def _extension(
    old: bytes, added: "list[Transformation | NonTransformation]", name: str | None, ancestor: ScopedKey
) -> bytes | None:
    """The body of ``POST /networks``; ``None`` if there is nothing to post."""
    from alchemiscale_prefect.chemistry.networks import extended
    from alchemiscale_prefect.chemistry.versions import GUFE_VERSION

    chain = extended(old, added, name)
    if chain is None:
        return None
    rest = {"scope": ancestor.scope.to_dict(), "gufe_version": GUFE_VERSION, "ancestor": ancestor.to_dict()}
    return b'{"network":' + chain + b"," + json.dumps(rest).encode()[1:]
