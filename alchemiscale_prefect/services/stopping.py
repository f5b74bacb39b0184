"""Stopping what no network wants any more."""

from collections.abc import Collection, Sequence

from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection
from alchemiscale_prefect.store.queries import actions, attempts, transitions


def stop_unactioned(connection: Connection, task_ids: Collection[int], who: str, reason: str) -> list[int]:
    """Stop those of these Tasks that are actioned nowhere, on their way to a worker or running.

    They wait again, with their checkpoints. The run learns of it at its next heartbeat, and the dispatcher has Prefect
    cancel the flow run. The caller has locked the Tasks and refreshes the queue afterwards.

    Parameters
    ----------
    who, reason
        Identifier of the identity that stops them, and why.

    Returns
    -------
    list of int
        Those that ran.
    """
    unwanted = actions.unactioned(connection, task_ids)
    attempts.cancel_live(connection, unwanted, reason)
    return transitions.move(connection, unwanted, TaskStatus.waiting, Reason(Cause.stop, who, reason))


def stop_networks(connection: Connection, network_ids: Sequence[int], who: str, reason: str) -> None:
    """Take every Task off these networks, and stop those that no other network has actioned."""
    task_ids = actions.of_networks_or_live(connection, network_ids)
    queue.lock(connection, task_ids)
    actions.remove_from_networks(connection, network_ids, task_ids)
    stop_unactioned(connection, task_ids, who, reason)
    queue.refresh(connection, task_ids)
