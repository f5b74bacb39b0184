"""``alchemiscale-prefect network copy``, ``merge`` and ``extend``: networks made of others, with what they found."""

from typing import Annotated

import typer

from alchemiscale_prefect.cli.connection import Network, connected, known_network
from alchemiscale_prefect.cli.output import Json
from alchemiscale_prefect.cli.submission import (
    File,
    InScope,
    Name,
    State,
    TaskCount,
    answer_with_key,
    answer_with_tasks,
    read_network,
)
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope


def copy(
    network: Network, scope: InScope, name: Name = None, state: State = NetworkState.active, as_json: Json = False
) -> None:
    """Copy a network to another Scope, with its complete Tasks and their results: nothing is computed again."""
    where = Scope.from_str(scope)
    with connected() as client:
        key = client.copy_network(known_network(client, network), where, name=name, state=state, visualize=False)
    answer_with_key(key, as_json)


def merge(
    networks: Annotated[list[str], typer.Argument(metavar="NETWORK", help="ScopedKeys of AlchemicalNetworks.")],
    name: Annotated[str, typer.Option(help="Name of the new one.")],
    scope: InScope,
    state: State = NetworkState.active,
    as_json: Json = False,
) -> None:
    """Merge networks into a new one, with their complete Tasks and results."""
    where = Scope.from_str(scope)
    with connected() as client:
        sources = [known_network(client, network) for network in networks]
        key = client.merge_networks(sources, name, where, state=state, visualize=False)
    answer_with_key(key, as_json)


def extend(network: Network, file: File, name: Name = None, tasks: TaskCount = None, as_json: Json = False) -> None:
    """Grow a network by the Transformations of another in a file. The new one knows its ancestor and has its Tasks."""
    added = read_network(file)
    with connected() as client:
        key = client.extend_network(known_network(client, network), sorted(added.edges), name=name, visualize=False)
        answer_with_tasks(client, key, tasks, as_json)
