"""Where the ProtocolDAGResult of a run lies, and the row that makes it count."""

import uuid
from dataclasses import dataclass

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import check_gufe_key
from alchemiscale_prefect.store.database import Connection
from alchemiscale_prefect.store.queries import attempts, objects
from alchemiscale_prefect.store.queries.attempts import HeldAttempt
from alchemiscale_prefect.wire import compute as wire


@dataclass(frozen=True, slots=True)
class Placed:
    """What a result's location is made of."""

    held: HeldAttempt
    transformation: str

    @classmethod
    def of(cls, connection: Connection, held: HeldAttempt) -> "Placed":
        """The place of the held attempt's result."""
        return cls(held, objects.summary(connection, held.transformation_id).key)

    def location(self, key: str, ok: bool) -> str:
        """Where the ProtocolDAGResult `key` is in the object store."""
        scope = "/".join(part for part in self.held.scope.to_tuple() if part is not None)
        route = "results" if ok else "failures"
        return f"protocoldagresult/{scope}/{self.transformation}/{route}/{check_gufe_key(key)}/obj.json.zst"


def record(connection: Connection, principal: Principal, held: HeldAttempt, body: wire.Finish, size: int | None) -> str:
    """Write down the result that `body` names; the key of its ProtocolDAGResultRef.

    Raises
    ------
    InvalidInput
        Its bytes were not stored: `size` is ``None``.
    """
    if size is None:
        raise InvalidInput(f"the bytes of {body.result} were not stored; store them first", field="result")
    key = f"ProtocolDAGResultRef-{uuid.uuid4().hex}"
    attempts.insert_result(
        connection,
        held,
        {
            "key": key,
            "ok": body.ok,
            "protocol_dag_result_key": body.result,
            "location": Placed.of(connection, held).location(body.result or "", body.ok),
            "size": size,
            "estimate": body.estimate,
            "uncertainty": body.uncertainty,
            "units": body.units,
            "tracebacks": [item.model_dump() for item in body.tracebacks] or None,
            "creator": principal.identifier,
            "gufe_version": body.gufe_version,
        },
    )
    return key
