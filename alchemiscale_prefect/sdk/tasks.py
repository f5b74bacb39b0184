"""Tasks: create, find, their statuses and priorities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.network_content import NETWORK
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus, check_reason
from alchemiscale_prefect.sdk.area import Area, optional_key
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key, as_scoped_keys
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.tasks import SetTasks

if TYPE_CHECKING:
    import networkx as nx


class Tasks(Area):
    """Tasks: executions of a Transformation."""

    def create_tasks(
        self, transformation: ScopedKey | str, extends: ScopedKey | str | None = None, count: int = 1
    ) -> list[ScopedKey]:
        """Create Tasks for a Transformation. They run once they are actioned, see `action_tasks`.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        extends
            A Task of the same Transformation whose result the new ones start from.
        count
            How many.

        Returns
        -------
        list of ScopedKey
            Of the new Tasks; they are ``waiting``, with priority 10.
        """
        key = as_scoped_key(transformation, "transformation")
        document = {
            "extends": None if extends is None else as_scoped_key(extends, "extends").to_dict(),
            "count": count,
        }
        path = paths.fill(paths.TRANSFORMATION_TASKS, transformation=key)
        return [ScopedKey.from_str(task) for task in self._post_new(path, document)]

    def create_transformations_tasks(
        self, transformations: Sequence[ScopedKey | str], extends: Sequence[ScopedKey | str | None] | None = None
    ) -> list[ScopedKey]:
        """Create Tasks for many Transformations in one request: all of them or none.

        Parameters
        ----------
        transformations
            Their ScopedKeys; one that is repeated gets as many Tasks.
        extends
            For each of `transformations` the Task to extend, or ``None``.

        Returns
        -------
        list of ScopedKey
            Of the new Tasks, in the order of `transformations`.

        Examples
        --------
        Three Tasks for one Transformation and two for another:

        >>> client.create_transformations_tasks([first] * 3 + [second] * 2)
        """
        document = {
            "transformations": [str(key) for key in as_scoped_keys(transformations, "transformations")],
            "extends": [None if task is None else str(as_scoped_key(task, "extends")) for task in extends]
            if extends
            else None,
        }
        created = self._post_new(paths.TRANSFORMATIONS_TASKS_CREATE, document)
        return [ScopedKey.from_str(task) for task in created]

    def set_tasks(
        self, transformations: "ScopedKey | str | Sequence[ScopedKey | str]", count: int = 1
    ) -> dict[ScopedKey, SetTasks]:
        """Make sure that Transformations have at least so many Tasks: asked for again, it makes no more.

        Several callers at once get no more than `count` either. As everywhere, Tasks run once they are actioned.

        Parameters
        ----------
        transformations
            ScopedKeys of one or several Transformations; or that of one network, for all of its Transformations.
        count
            The least number of Tasks. Counted are those that extend no other Task, since these are no independent
            repeats, and that are neither ``invalid`` nor ``deleted``. Those in ``error`` count, else a Transformation
            that fails would get more Tasks with each call: set them ``waiting`` or ``invalid``.

        Returns
        -------
        dict of ScopedKey to SetTasks
            For each Transformation, with the Tasks that existed and those that were created.

        Raises
        ------
        AlchemiscaleClientError
            One of them does not exist; no Task was made.

        Examples
        --------
        Three repeats of everything in a network, however often the script is run:

        >>> repeats = client.set_tasks(network_key, 3).values()
        >>> client.action_tasks([task for made in repeats for task in made.existing + made.created], network_key)
        """
        one = isinstance(transformations, str | ScopedKey)
        keys = as_scoped_keys([transformations] if one else transformations, "transformations")  # type: ignore[arg-type,list-item]
        document: dict[str, object] = {"count": count}
        if len(keys) == 1 and keys[0].qualname == NETWORK:
            document["network"] = keys[0].to_dict()
        else:
            document["transformations"] = [key.to_dict() for key in keys]
        found = self._post(paths.TRANSFORMATIONS_TASKS_SET, document)
        return {ScopedKey.from_str(key): SetTasks.model_validate(tasks) for key, tasks in found.items()}

    def query_tasks(self, scope: Scope | None = None, status: str | None = None) -> list[ScopedKey]:
        """Tasks in the Scopes of this identity, by Scope and status.

        Parameters
        ----------
        scope
            May have wildcards. Default: every scope.
        status
            One of `TaskStatusEnum`. Default: any.

        Returns
        -------
        list of ScopedKey
        """
        return self._get_keys(paths.TASKS, {"status": status, **as_scope(scope).to_dict()})

    def get_network_tasks(self, network: ScopedKey | str, status: str | None = None) -> list[ScopedKey]:
        """Tasks of the Transformations of a network, actioned there or not.

        Parameters
        ----------
        network
            Its ScopedKey.
        status
            One of `TaskStatusEnum`. Default: any.

        Returns
        -------
        list of ScopedKey
        """
        path = paths.fill(paths.NETWORK_TASKS, network=as_scoped_key(network, "network"))
        return self._get_keys(path, {"status": status})

    def get_task_networks(self, task: ScopedKey | str) -> list[ScopedKey]:
        """Networks that the Transformation of a Task is part of.

        Parameters
        ----------
        task
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
        """
        return self._get_keys(paths.fill(paths.TASK_NETWORKS, task=as_scoped_key(task, "task")))

    def get_transformation_tasks(
        self,
        transformation: ScopedKey | str,
        extends: ScopedKey | str | None = None,
        return_as: str = "list",
        status: str | None = None,
    ) -> "list[ScopedKey] | nx.DiGraph":
        """Tasks of a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        extends
            Only Tasks that extend this one, or one that extends it, and so on.
        return_as
            ``"list"`` or ``"graph"``.
        status
            One of `TaskStatusEnum`. Default: any.

        Returns
        -------
        list of ScopedKey, or networkx.DiGraph
            The graph has the ScopedKeys as nodes, and an edge from each Task to the one that it extends.

        Raises
        ------
        InvalidInput
            Also a ValueError: `return_as` is something else.
        """
        if return_as not in ("list", "graph"):
            raise InvalidInput(f"`return_as` takes 'list' or 'graph', not '{return_as}'", field="return_as")
        key = as_scoped_key(transformation, "transformation")
        parent = None if extends is None else str(as_scoped_key(extends, "extends"))
        path = paths.fill(paths.TRANSFORMATION_TASKS, transformation=key)
        found = self._get(path, {"extends": parent, "return_as": return_as, "status": status})
        if return_as == "list":
            return [ScopedKey.from_str(task) for task in found]
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(ScopedKey.from_str(task) for task in found)
        graph.add_edges_from(
            (ScopedKey.from_str(task), ScopedKey.from_str(extended))
            for task, extended in found.items()
            if extended is not None
        )
        return graph

    def get_task_transformation(self, task: ScopedKey | str) -> ScopedKey:
        """The Transformation of a Task.

        Parameters
        ----------
        task
            Its ScopedKey.

        Returns
        -------
        ScopedKey

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        path = paths.fill(paths.TASK_TRANSFORMATION, task=as_scoped_key(task, "task"))
        return ScopedKey.from_str(self._get(path))

    def set_tasks_status(
        self,
        tasks: Sequence[ScopedKey | str],
        status: TaskStatus | str,
        batch_size: int = 1000,
        *,
        reason: str | None = None,
    ) -> list[ScopedKey | None]:
        """Set the status of Tasks: ``error`` to ``waiting`` to run them again; anything to ``invalid`` or ``deleted``.

        A Task that becomes ``invalid`` or ``deleted`` is taken off every network, as are the Tasks that extend it.

        Parameters
        ----------
        tasks
            Their ScopedKeys.
        status
            ``waiting``, ``invalid`` or ``deleted``.
        batch_size
            How many Tasks go into one request.
        reason
            Why; for ``invalid`` and ``deleted`` only. `get_tasks_details` shows it.

        Returns
        -------
        list of ScopedKey or None
            In the order of `tasks`; ``None`` for one that does not exist, is out of reach, or cannot take the status.

        Raises
        ------
        UnknownState
            Also a ValueError: there is no such status.
        InvalidInput
            Also a ValueError: a `reason` for another status.
        AlchemiscaleClientError
            It is a status that only an execution gives.
        """
        keys = as_scoped_keys(tasks, "tasks")
        new = TaskStatus.parse(getattr(status, "value", status))
        check_reason(new, reason)
        rest = {"status": new.value, **({} if reason is None else {"reason": reason})}
        return [optional_key(key) for key in self._post_in_batches(paths.TASKS_STATUS_SET, keys, batch_size, rest)]

    def get_tasks_status(self, tasks: Sequence[ScopedKey | str], batch_size: int = 1000) -> list[str | None]:
        """The statuses of Tasks.

        Parameters
        ----------
        tasks
            Their ScopedKeys.
        batch_size
            How many Tasks go into one request.

        Returns
        -------
        list of str or None
            In the order of `tasks`; ``None`` for one that does not exist or is out of reach.
        """
        return self._post_in_batches(paths.TASKS_STATUS_GET, as_scoped_keys(tasks, "tasks"), batch_size)

    def set_tasks_priority(
        self, tasks: Sequence[ScopedKey | str], priority: int, batch_size: int = 1000
    ) -> list[ScopedKey | None]:
        """Set the priority of Tasks. Within a network, Tasks of a lower number run sooner.

        Parameters
        ----------
        tasks
            Their ScopedKeys.
        priority
            Between 1 and 2**63 - 1.
        batch_size
            How many Tasks go into one request.

        Returns
        -------
        list of ScopedKey or None
            In the order of `tasks`; ``None`` for one that does not exist or is out of reach.

        Raises
        ------
        AlchemiscaleClientError
            The priority is out of range.
        """
        keys = as_scoped_keys(tasks, "tasks")
        updated = self._post_in_batches(paths.TASKS_PRIORITY_SET, keys, batch_size, {"priority": priority})
        return [optional_key(key) for key in updated]

    def get_tasks_priority(self, tasks: Sequence[ScopedKey | str], batch_size: int = 1000) -> list[int | None]:
        """The priorities of Tasks.

        Parameters
        ----------
        tasks
            Their ScopedKeys.
        batch_size
            How many Tasks go into one request.

        Returns
        -------
        list of int or None
            In the order of `tasks`; ``None`` for one that does not exist or is out of reach.
        """
        return self._post_in_batches(paths.TASKS_PRIORITY_GET, as_scoped_keys(tasks, "tasks"), batch_size)
