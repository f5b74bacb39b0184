"""The API as one compute flow run sees it: one attempt, one lease owner, no database."""

from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx

from alchemiscale_prefect.domain.errors import AttemptVoid, HostRefused
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire import compute as wire
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.objects import GUFE_VERSION

PROMPT_SECONDS = 10.0
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Execution:
    """Which flow run works on which attempt, and where.

    Attributes
    ----------
    task
        ScopedKey of the Task.
    n
        Number of the attempt.
    flow_run_id, run_count
        The flow run; a run that Prefect starts again under the same id has a higher count.
    host
        The machine's name.
    image
        Of the container that it is in, if it is in one.
    process
        Random. Prefect has been seen to run one flow run in two processes at once, with the same count: they must not
        both hold the lease.
    """

    task: str
    n: int
    flow_run_id: UUID
    run_count: int
    host: str
    image: str | None = None
    process: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def owner(self) -> str:
        """The lease owner."""
        return f"{self.flow_run_id}/{self.run_count}/{self.process}"


class ComputeClient:
    """Calls of one attempt. Each raises `AttemptVoid` once the attempt is not the run's any more.

    Parameters
    ----------
    patient
        For what must not be lost: it tries again for as long as the process lives.
    prompt
        For heartbeats and the last word: it answers or fails within seconds. Both have the compute identity's
        credentials and ``paths.COMPUTE_TOKEN``.
    execution
        Who calls.
    """

    def __init__(self, patient: Transport, prompt: Transport, execution: Execution) -> None:
        self._patient = patient
        self._prompt = prompt
        self.execution = execution

    @classmethod
    def connect(cls, api_url: str, identifier: str, key: str, execution: Execution) -> "ComputeClient":
        """A client for a compute identity; nothing is sent yet."""
        return cls(
            Transport(api_url, identifier, key, token_path=paths.COMPUTE_TOKEN, retry=RetryPolicy(max_retries=-1)),
            Transport(
                api_url,
                identifier,
                key,
                token_path=paths.COMPUTE_TOKEN,
                retry=RetryPolicy(max_retries=0),
                timeout_seconds=PROMPT_SECONDS,
                connect_timeout_seconds=PROMPT_SECONDS,
            ),
            execution,
        )

    def begin(self) -> wire.Begun:
        """Take the lease and learn what to do; `HostRefused` if the API does not trust this host with it."""
        execution = self.execution
        body = wire.Begin(
            owner=execution.owner,
            flow_run_id=str(execution.flow_run_id),
            host=execution.host,
            image=execution.image,
        )
        return wire.Begun.model_validate_json(self._call("POST", paths.COMPUTE_BEGIN, body=body.model_dump()))

    def heartbeat(self, units_done: int, units_total: int, fraction: float | None = None) -> None:
        """Renew the lease, and tell how far the attempt is; see `wire.Heartbeat`."""
        body = wire.Heartbeat(units_done=units_done, units_total=units_total, fraction=fraction)
        self._call("POST", paths.COMPUTE_HEARTBEAT, body=body.model_dump(), transport=self._prompt)

    def store_dag(self, shared_id: str, data: bytes) -> None:
        """Keep the ProtocolDAG, whose units will write into the shared directory `shared_id`."""
        self._call("PUT", paths.COMPUTE_DAG, data=data, params={"shared_id": shared_id})

    def fetch_dag(self) -> bytes:
        """The ProtocolDAG of the checkpoint."""
        return self._call("GET", paths.COMPUTE_DAG)

    def store_unit(self, unit: wire.StoredUnit, data: bytes) -> None:
        """Keep a unit result."""
        params: dict[str, str | int | float | bool | None] = {
            "unit_key": unit.unit_key,
            "ok": unit.ok,
            "directory": unit.directory,
        }
        self._call("PUT", paths.COMPUTE_UNIT, data=data, params=params, unit_result=unit.key)

    def fetch_unit(self, key: str) -> bytes:
        """A unit result of the checkpoint."""
        return self._call("GET", paths.COMPUTE_UNIT, unit_result=key)

    def store_files(self, key: str, part: int, data: bytes, query: wire.StoreFiles) -> None:
        """Keep a part of the files of the unit whose result is `key`."""
        self._call(
            "PUT", paths.COMPUTE_UNIT_FILES, data=data, params=query.model_dump(), unit_result=key, part=str(part)
        )

    def fetch_files(self, key: str, part: int) -> bytes:
        """A part of the files of a unit of the checkpoint."""
        return self._call("GET", paths.COMPUTE_UNIT_FILES, unit_result=key, part=str(part))

    def fetch_extends(self) -> tuple[bytes, str | None]:
        """The ProtocolDAGResult to extend, and the version of gufe that wrote it, if that is known."""
        response = self._request("GET", paths.COMPUTE_EXTENDS)
        return response.content, response.headers.get(GUFE_VERSION)

    def store_result(self, key: str, ok: bool, data: bytes) -> None:
        """Keep the ProtocolDAGResult; it counts once `finish` names it."""
        self._call("PUT", paths.COMPUTE_RESULT, data=data, params={"key": key, "ok": ok})

    def finish(self, body: wire.Finish) -> wire.Finished:
        """Tell the outcome. Safe to repeat."""
        answer = self._call("POST", paths.COMPUTE_FINISH, body=body.model_dump(), compress=True)
        return wire.Finished.model_validate_json(answer)

    def release(self, reason: str, cause: Literal["failed", "stopped", "cancelled"] = "failed") -> None:
        """Give the attempt back, so that another one can take the checkpoint up at once; causes: `wire.Release`."""
        body = wire.Release(reason=reason[: wire.REASON_LENGTH], cause=cause)
        self._call("POST", paths.COMPUTE_RELEASE, body=body.model_dump(), transport=self._prompt)

    def close(self) -> None:
        """Close the connections."""
        self._patient.close()
        self._prompt.close()

    def _call(self, method: str, path: str, **arguments: Any) -> bytes:
        return self._request(method, path, **arguments).content

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, object] | None = None,
        data: bytes | None = None,
        params: dict[str, str | int | float | bool | None] | None = None,
        compress: bool = False,
        transport: Transport | None = None,
        **parts: str,
    ) -> httpx.Response:
        headers = {wire.LEASE_OWNER: self.execution.owner}
        if data is not None:
            headers["Content-Type"] = _BYTES
        try:
            return (transport or self._patient).request(
                method,
                paths.fill(path, task=self.execution.task, n=self.execution.n, **parts),
                json=body,
                content=data,
                params=params,
                headers=headers,
                compress=compress,
            )
        except AlchemiscaleClientError as error:
            if error.code == HostRefused.code:
                raise HostRefused(str(error.detail), retry_after=int(error.retry_after or 0)) from error
            if error.code == AttemptVoid.code:
                raise AttemptVoid(str(error)) from error
            raise
