"""Why a Task runs, or does not run yet."""

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_key
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.explanations import TaskExplanation


class Explanations(Area):
    """What the queue does with a Task."""

    def explain_task(self, task: ScopedKey | str) -> TaskExplanation:
        """What stands before a Task to run: its status, a rest, its parent, weights, the queue, fair share.

        Parameters
        ----------
        task
            Its ScopedKey.

        Returns
        -------
        TaskExplanation
            Its `hindrances` say it all; they are empty for the next Task of a network.

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        path = paths.fill(paths.TASK_EXPLANATION, task=as_scoped_key(task, "task"))
        return TaskExplanation.model_validate(self._get(path))
