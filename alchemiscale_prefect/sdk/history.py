"""What became of Tasks: their attempts, why they failed, how far they are, and what a Scope has used."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key, as_scoped_keys
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.history import TaskAttempt, TaskDetails, TaskStatusChange, TaskTracebacks

BATCH_SIZE = 1000


class History(Area):
    """Tasks looked at closely, without fetching results."""

    def get_tasks_details(self, tasks: Sequence[ScopedKey | str]) -> list[TaskDetails | None]:
        """Tasks as they stand: status and why, priority, what is under way, and the last attempt that ended.

        Parameters
        ----------
        tasks
            Their ScopedKeys.

        Returns
        -------
        list of TaskDetails or None
            In the order of `tasks`; ``None`` for one that does not exist or is out of reach.
        """
        found = self._post_in_batches(paths.TASKS_DETAILS, as_scoped_keys(tasks, "tasks"), BATCH_SIZE)
        return [None if details is None else TaskDetails.model_validate(details) for details in found]

    def get_task_history(self, task: ScopedKey | str, limit: int | None = None) -> list[TaskAttempt]:
        """The attempts of a Task: when, where, how far, and how each ended.

        Parameters
        ----------
        task
            Its ScopedKey.
        limit
            At most so many. Default: all.

        Returns
        -------
        list of TaskAttempt
            The most recent first.

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        path = paths.fill(paths.TASK_HISTORY, task=as_scoped_key(task, "task"))
        return [TaskAttempt.model_validate(attempt) for attempt in self._get(path, {"limit": limit})]

    def get_task_status_history(self, task: ScopedKey | str, limit: int | None = None) -> list[TaskStatusChange]:
        """The changes of a Task's status: when, from what to what, what brought it about, who asked for it, and why.

        Parameters
        ----------
        task
            Its ScopedKey.
        limit
            At most so many. Default: all.

        Returns
        -------
        list of TaskStatusChange
            The most recent first; empty for a Task that waits since it was created.

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        path = paths.fill(paths.TASK_STATUS_HISTORY, task=as_scoped_key(task, "task"))
        return [TaskStatusChange.model_validate(change) for change in self._get(path, {"limit": limit})]

    def get_task_tracebacks(self, task: ScopedKey | str, limit: int | None = None) -> list[TaskTracebacks]:
        """Why the attempts of a Task failed, without fetching its failures.

        Parameters
        ----------
        task
            Its ScopedKey.
        limit
            Of at most so many attempts. Default: all.

        Returns
        -------
        list of TaskTracebacks
            One for each attempt that failed, the most recent first; each has the tracebacks of all ProtocolUnits that
            failed in it.

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        path = paths.fill(paths.TASK_TRACEBACKS, task=as_scoped_key(task, "task"))
        return [TaskTracebacks.model_validate(tracebacks) for tracebacks in self._get(path, {"limit": limit})]

    def get_tasks_progress(self, tasks: Sequence[ScopedKey | str]) -> list[tuple[int, int] | None]:
        """How many ProtocolUnits of each Task are done, of how many.

        Parameters
        ----------
        tasks
            Their ScopedKeys.

        Returns
        -------
        list of (int, int) or None
            In the order of `tasks`, from their last attempts; ``None`` for one that does not exist, is out of reach,
            or of which no attempt has told yet.
        """
        found = self._post_in_batches(paths.TASKS_PROGRESS, as_scoped_keys(tasks, "tasks"), BATCH_SIZE)
        return [None if units is None else (units[0], units[1]) for units in found]

    def get_scope_compute_share(self, scope: Scope | str | None, *, hours: float = 24.0) -> float:
        """Which part of the server's compute went to a Scope of late.

        Counted is the time that attempts ran within these hours, those that run now up to now. A GPU and a CPU count
        alike.

        Parameters
        ----------
        scope
            May have wildcards; of these counts what the identity sees. ``None`` is every Scope.
        hours
            How far to look back; at most 744, a month.

        Returns
        -------
        float
            Between 0 and 1, of all that ran on the server; 0 if nothing did.
        """
        path = paths.fill(paths.SCOPE_COMPUTE_SHARE, scope=as_scope(scope))
        return float(self._get(path, {"hours": hours}))
