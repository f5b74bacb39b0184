"""Flow runs for attempts: created in bulk with idempotency keys, cancelled, looked at."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar, cast
from uuid import UUID

import structlog
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound

from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Launch, Launched, RunEnd, RunState
from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.orchestration.capacity import read_capacity
from alchemiscale_prefect.orchestration.reach import reached
from alchemiscale_prefect.orchestration.states import is_diagnosis, needs_diagnosis, run_end, run_state

log = structlog.get_logger(__name__)

_OVER = (RunState.ended, RunState.missing)

T = TypeVar("T")

# larger calls hold one transaction of the Prefect server for seconds
CREATE_SIZE = 25
# the server's limit for bulk_set_state, and well within the filter's
LOOK_UP_SIZE = 50

# of a flow run's logs, to find what the worker wrote about its pod; it forwards a pod's own last lines there too
LOG_LINES = 200

# seconds before each try of a creation: a Prefect server on SQLite refuses some whenever its own services write
PAUSES = (0.0, 0.5, 1.5)

# a capacity is good for so long: a burst of passes asks Prefect once
CAPACITY_SECONDS = 5.0


class PrefectLauncher:
    """Launches attempts as flow runs of one deployment.

    Whatever it is asked for, it raises `Unavailable` where Prefect does not answer, or knows no such deployment.

    Parameters
    ----------
    deployment
        ``<flow name>/<deployment name>``.
    client
        A Prefect client to use; one for the configured ``PREFECT_API_URL`` is made on first use otherwise.
    """

    def __init__(self, deployment: str, client: SyncPrefectClient | None = None) -> None:
        self.deployment = deployment
        self._client = client
        self._own: SyncPrefectClient | None = None
        self._capacity: tuple[float, Capacity] | None = None

    @property
    def client(self) -> SyncPrefectClient:
        """The Prefect client, kept open."""
        if self._client is None:
            self._client = self._own = get_client(sync_client=True).__enter__()
        return self._client

    def close(self) -> None:
        """Close the client, unless it was given; a later call opens a new one."""
        if self._own is not None:
            self._own.__exit__(None, None, None)
            self._client = self._own = None

    def launch(self, launches: Sequence[Launch]) -> tuple[Launched, ...]:
        """Ask for one flow run per launch; one answer per launch, in order.

        The flow run is named after the Task, because Prefect finds runs fast by name and slowly by tag. What fails is
        asked for again shortly after.
        """
        # not kept: a deployment that is deleted and made anew has another id
        with self._reached():
            deployment_id = self.client.read_deployment_by_name(self.deployment).id
        answers: dict[AttemptId, Launched] = {}
        left = launches
        for pause in PAUSES:
            time.sleep(pause)
            for batch in _batches(left, CREATE_SIZE):
                try:
                    answers.update((answer.attempt, answer) for answer in self._create(deployment_id, batch))
                except Unavailable as error:
                    if not answers:
                        raise
                    # what was made before is written down; the rest is asked for again later
                    return tuple(answers.get(one.attempt, Launched(one.attempt, None, str(error))) for one in launches)
            left = [launch for launch in left if answers[launch.attempt].flow_run_id is None]
            if not left:
                break
        return tuple(answers[launch.attempt] for launch in launches)

    def cancel(self, flow_run_ids: Collection[UUID]) -> frozenset[UUID]:
        """Move flow runs to Cancelling, from where whoever runs them ends them.

        Never straight to Cancelled: a running one would run on. One that is only scheduled answers with a rejection
        whose state is Cancelled, as wanted.

        Returns
        -------
        frozenset of UUID
            Those that will stop, have ended or are unknown; the others are to be asked again.
        """
        settled: set[UUID] = set(flow_run_ids)
        for batch in _batches(sorted(flow_run_ids), LOOK_UP_SIZE):
            answer = self._post(
                "/flow_runs/bulk_set_state",
                {
                    "flow_runs": {"id": {"any_": [str(flow_run_id) for flow_run_id in batch]}},
                    "state": {"type": StateType.CANCELLING.value, "name": "Cancelling"},
                },
            )
            # HTTP 200 can carry items that failed: ABORT is the answer of one that has ended, and of any error
            settled -= {
                UUID(item["flow_run_id"]) for item in answer["results"] if item["status"] not in ("ACCEPT", "REJECT")
            }
        unclear = set(flow_run_ids) - settled
        return frozenset(settled | {run for run, state in self.states(unclear).items() if state in _OVER})

    def states(self, flow_run_ids: Collection[UUID]) -> Mapping[UUID, RunState]:
        """The state of each flow run asked for; `RunState.missing` if Prefect does not know it."""
        found = dict.fromkeys(flow_run_ids, RunState.missing)
        return found | {UUID(run["id"]): run_state(run) for run in self._read(flow_run_ids)}

    def ends(self, flow_run_ids: Collection[UUID]) -> Mapping[UUID, RunEnd]:
        """How those of the flow runs ended that have ended; one that Prefect does not know is left out."""
        runs = list(self._read(flow_run_ids))
        try:
            diagnoses = self._diagnoses([run["id"] for run in runs if needs_diagnosis(run)])
        except Unavailable as error:  # that it ended is known all the same
            log.warning("no_diagnosis", why=str(error))
            diagnoses = {}
        ends = {UUID(run["id"]): run_end(run, diagnoses.get(run["id"])) for run in runs}
        return {flow_run_id: end for flow_run_id, end in ends.items() if end is not None}

    def _read(self, flow_run_ids: Collection[UUID]) -> Iterator[Mapping[str, Any]]:
        for batch in _batches(sorted(flow_run_ids), LOOK_UP_SIZE):
            yield from self._post(
                "/flow_runs/filter",
                {"flow_runs": {"id": {"any_": [str(flow_run_id) for flow_run_id in batch]}}, "limit": len(batch)},
            )

    def _diagnoses(self, flow_run_ids: Collection[str]) -> Mapping[str, str]:
        """What the logs of flow runs say last of why their pods ended, of those of which they do."""
        found: dict[str, str] = {}
        for flow_run_id in flow_run_ids:  # few: each is a crash that was just noticed
            query = {"flow_run_id": {"any_": [flow_run_id]}, "level": {"ge_": logging.WARNING}}
            body = {"logs": query, "sort": "TIMESTAMP_DESC", "limit": LOG_LINES}
            lines = self._post("/logs/filter", body)
            said = next((line["message"] for line in lines if is_diagnosis(line["message"])), None)
            if said is not None:
                found[flow_run_id] = said
        return found

    def capacity(self) -> Capacity:
        """What the deployment's work pool and queue have room for, as of `CAPACITY_SECONDS` ago at most."""
        now = time.monotonic()
        if self._capacity is None or now - self._capacity[0] > CAPACITY_SECONDS:
            with self._reached():
                self._capacity = (now, read_capacity(self.client, self.deployment))
        return self._capacity[1]

    def _create(self, deployment_id: UUID, batch: Sequence[Launch]) -> Iterator[Launched]:
        answer = self._post(
            f"/deployments/{deployment_id}/create_flow_run/bulk",
            [
                {
                    "name": launch.attempt.task,
                    "tags": list(launch.tags),
                    "parameters": {"task": launch.attempt.task, "attempt": launch.attempt.n},
                    "idempotency_key": launch.idempotency_key,
                }
                for launch in batch
            ],
        )
        # HTTP 200 can carry items that failed
        for launch, item in zip(batch, answer["results"], strict=True):
            created = item["status"] == "CREATED" and item["flow_run_id"] is not None
            yield Launched(launch.attempt, UUID(item["flow_run_id"]) if created else None, item["error"])

    def _post(self, path: str, body: Any) -> Any:
        # the bulk routes have no method of their own in the client
        with self._asked():
            return self.client.request("POST", cast(Any, path), json=body).json()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            with reached():
                yield
        except Unavailable:
            # what a client concludes from a server's bad moments (that it wants no CSRF token, say) it never forgets
            self.close()
            raise

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            with self._asked():
                yield
        except ObjectNotFound as error:
            raise Unavailable(
                f"Prefect has no deployment {self.deployment}; make it with: alchemiscale-prefect deploy"
            ) from error


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
