"""ProtocolDAGResults: which there are, their bytes, and the estimates kept beside them."""

from dataclasses import dataclass

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services.networks import require_network, scoped
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.port import ObjectStore
from alchemiscale_prefect.store.queries import results
from alchemiscale_prefect.wire.networks import TransformationEstimate

_OK = {"results": True, "failures": False}


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A ProtocolDAGResult.

    Attributes
    ----------
    data
        Its keyed chain, compressed by zstandard.
    gufe_version
        Who wrote it, if that is known.
    """

    data: bytes
    gufe_version: str | None


def of_transformation(database: Database, principal: Principal, transformation: ScopedKey, *, ok: bool) -> list[str]:
    """Refs of a Transformation's results (`ok`) or failures, oldest first."""
    principal.require(transformation.scope)
    with database.transaction() as connection:
        return scoped(results.of_transformation(connection, transformation, ok=ok), transformation.scope)


def of_task(database: Database, principal: Principal, task: ScopedKey, *, ok: bool) -> list[str]:
    """Refs of a Task's results (`ok`) or failures, oldest first."""
    principal.require(task.scope)
    with database.transaction() as connection:
        return scoped(results.of_task(connection, task, ok=ok), task.scope)


def get(
    database: Database,
    objects: ObjectStore,
    principal: Principal,
    transformation: ScopedKey,
    route: str,
    result: ScopedKey,
) -> StoredResult:
    """A result, as the compute run stored it.

    Parameters
    ----------
    route
        ``"results"`` or ``"failures"``.

    Raises
    ------
    NotFound
        This Transformation has no such result, or no such failure.
    """
    if route not in _OK:
        raise InvalidInput(f"`route` takes 'results' or 'failures', not '{route}'", field="route")
    principal.require_all((transformation.scope, result.scope))
    stored = None
    if result.scope == transformation.scope:
        with database.transaction() as connection:
            stored = results.stored(connection, result, transformation.gufe_key, ok=_OK[route])
    if stored is None:
        raise NotFound("No such object in database", field="result")
    return StoredResult(objects.get(stored.location), stored.gufe_version)


def estimates(database: Database, principal: Principal, network: ScopedKey) -> list[TransformationEstimate]:
    """One line per Transformation of a network, without fetching any result; `NotFound` if it is not there."""
    principal.require(network.scope)
    with database.transaction() as connection:
        rows = results.estimates(connection, require_network(connection, network))
    scope = network.scope
    return [
        TransformationEstimate(
            transformation=ScopedKey.of(row.transformation, scope),
            name=row.name,
            state_a=ScopedKey.of(row.state_a, scope),
            state_b=ScopedKey.of(row.state_b, scope),
            estimates=row.estimates,
            uncertainties=row.uncertainties,
            units=row.units,
        )
        for row in rows
    ]
