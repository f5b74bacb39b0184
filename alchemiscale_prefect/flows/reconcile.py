"""The flow that holds tables, Prefect and object store against each other; for the control pool."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from alchemiscale_prefect.bootstrap import run_reconcile
from alchemiscale_prefect.orchestration.reporting import report_found


@flow(name="reconcile", persist_result=False, validate_parameters=False)
def reconcile(objects: bool = False, dry_run: bool = False) -> State[Any]:
    """Mend what differs.

    Parameters
    ----------
    objects
        Also list the object store, and delete what no row names.
    dry_run
        Only say what there is.

    Returns
    -------
    State
        Completed; the table artifact ``alchemiscale-reconcile`` has what was found and done.
    """
    found = run_reconcile(objects=objects, dry_run=dry_run)
    report_found(found)
    return Completed(message="; ".join(f"{item.count} {item.what}" for item in found) or "all is as it should be")
