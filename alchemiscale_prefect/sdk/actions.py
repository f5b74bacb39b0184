"""Actions: which Tasks run for which network."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area, optional_key
from alchemiscale_prefect.sdk.arguments import as_scoped_key, as_scoped_keys
from alchemiscale_prefect.wire import paths


class Actions(Area):
    """Tasks actioned on networks."""

    def action_tasks(
        self,
        tasks: Sequence[ScopedKey | str],
        network: ScopedKey | str,
        weight: float | list[float] | None = None,
    ) -> list[ScopedKey | None]:
        """Have Tasks run for a network.

        Parameters
        ----------
        tasks
            Their ScopedKeys; of Transformations of the network.
        network
            The network's ScopedKey.
        weight
            Between 0 (do not run) and 1: among Tasks of one priority, the chance to run sooner. One for all, or a
            list with one for each of `tasks`. By default newly actioned Tasks get 0.5, and the others keep theirs.

        Returns
        -------
        list of ScopedKey or None
            In the order of `tasks`; ``None`` for one that was actioned here already, does not exist, is of another
            network, or has a status other than ``waiting``, ``running`` and ``error``.

        Raises
        ------
        AlchemiscaleClientError
            `network` is no network, a weight is out of range, or `weight` has another length than `tasks`; nothing
            was actioned.
        """
        document = {
            "tasks": [key.to_dict() for key in as_scoped_keys(tasks, "tasks")],
            "weight": list(weight) if isinstance(weight, Sequence) else weight,
        }
        path = paths.fill(paths.NETWORK_TASKS_ACTION, network=as_scoped_key(network, "network"))
        return [optional_key(key) for key in self._post(path, document)]

    def cancel_tasks(
        self, tasks: Sequence[ScopedKey | str], network: ScopedKey | str, *, stop_tasks: bool = True
    ) -> list[ScopedKey | None]:
        """Take Tasks off a network, so that they are not run for it; those that run are stopped.

        Parameters
        ----------
        tasks
            Their ScopedKeys.
        network
            The network's ScopedKey.
        stop_tasks
            Whether those that run already are stopped, unless they are actioned on another network too. A stopped
            Task waits; actioned again, it goes on from the ProtocolUnits it had done. ``False`` lets them run to their
            end.

        Returns
        -------
        list of ScopedKey or None
            In the order of `tasks`; ``None`` for one that was not actioned here.
        """
        document = {
            "tasks": [key.to_dict() for key in as_scoped_keys(tasks, "tasks")],
            # left out where it is as ever: alchemiscale's own server does not know it
            **({} if stop_tasks else {"stop_tasks": False}),
        }
        path = paths.fill(paths.NETWORK_TASKS_CANCEL, network=as_scoped_key(network, "network"))
        return [optional_key(key) for key in self._post(path, document)]

    def get_network_actioned_tasks(
        self, network: ScopedKey | str, task_weights: bool = False
    ) -> dict[ScopedKey, float] | list[ScopedKey]:
        """Tasks actioned on a network.

        Parameters
        ----------
        network
            Its ScopedKey.
        task_weights
            Whether to give their weights too.

        Returns
        -------
        list of ScopedKey, or dict of ScopedKey to float
        """
        path = paths.fill(paths.NETWORK_TASKS_ACTIONED, network=as_scoped_key(network, "network"))
        return self._actioned(path, task_weights)

    def get_networks_actioned_tasks(
        self, networks: Sequence[ScopedKey | str], task_weights: bool = False
    ) -> list[dict[ScopedKey, float] | list[ScopedKey]]:
        """Tasks actioned on each of several networks, in one request.

        Parameters
        ----------
        networks
            Their ScopedKeys.
        task_weights
            Whether to give their weights too.

        Returns
        -------
        list of list of ScopedKey, or list of dict of ScopedKey to float
            In the order of `networks`.

        Raises
        ------
        AlchemiscaleClientError
            One of them does not exist.
        """
        keys = [str(key) for key in as_scoped_keys(networks, "networks")]
        found = self._post(paths.NETWORKS_TASKS_ACTIONED, {"networks": keys, "task_weights": task_weights})
        return [_with_keys(tasks) for tasks in found]

    def get_task_actioned_networks(
        self, task: ScopedKey | str, task_weights: bool = False
    ) -> dict[ScopedKey, float] | list[ScopedKey]:
        """Networks that a Task is actioned on.

        Parameters
        ----------
        task
            Its ScopedKey.
        task_weights
            Whether to give the Task's weight on each too.

        Returns
        -------
        list of ScopedKey, or dict of ScopedKey to float
        """
        path = paths.fill(paths.TASK_NETWORKS_ACTIONED, task=as_scoped_key(task, "task"))
        return self._actioned(path, task_weights)

    def _actioned(self, path: str, task_weights: bool) -> dict[ScopedKey, float] | list[ScopedKey]:
        return _with_keys(self._post(path, {"task_weights": task_weights}))


def _with_keys(found: dict[str, float] | list[str]) -> dict[ScopedKey, float] | list[ScopedKey]:
    if isinstance(found, dict):
        return {ScopedKey.from_str(key): weight for key, weight in found.items()}
    return [ScopedKey.from_str(key) for key in found]
