"""What compute flow runs call. Bodies that are bytes (zstd keyed chains) are taken and given as they are."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from alchemiscale_prefect.api.auth import ComputeDatabase, ComputePrincipal
from alchemiscale_prefect.api.body import Bytes, documented, json_body
from alchemiscale_prefect.api.dependencies import CurrentSystem
from alchemiscale_prefect.api.gufe_objects import written_by
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import runs
from alchemiscale_prefect.services.runs import Run
from alchemiscale_prefect.wire import compute as wire
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["compute"])

BYTES = "application/octet-stream"
_BYTES = {BYTES: {"schema": {"type": "string", "format": "binary"}}}
_GIVEN: dict[int | str, dict[str, Any]] = {200: {"content": _BYTES}}
_TAKEN = {"requestBody": {"required": True, "content": _BYTES}}
_NO_CONTENT = 204


def current_run(task: str, n: int, owner: Annotated[str, Header(alias=wire.LEASE_OWNER, max_length=200)]) -> Run:
    """Who writes, from the path and the header."""
    return Run(ScopedKey.from_str(task), n, owner)


CurrentRun = Annotated[Run, Depends(current_run)]
Part = Annotated[int, Path(ge=0, le=wire.MAX_PARTS)]


@router.post(paths.COMPUTE_BEGIN, openapi_extra=documented(wire.Begin))
def begin(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    body: Annotated[wire.Begin, Depends(json_body(wire.Begin))],
) -> wire.Begun:
    """Take the lease of an attempt."""
    api = system.api
    return runs.begin(database, principal, run, body, api.lease, everything=system.database, policy=api.host_policy)


@router.post(paths.COMPUTE_HEARTBEAT, status_code=_NO_CONTENT, openapi_extra=documented(wire.Heartbeat))
def heartbeat(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    body: Annotated[wire.Heartbeat, Depends(json_body(wire.Heartbeat))],
) -> None:
    """Renew the lease."""
    runs.heartbeat(database, principal, run, body, system.api.lease)


@router.put(paths.COMPUTE_DAG, status_code=_NO_CONTENT, openapi_extra=_TAKEN)
def store_dag(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    query: Annotated[wire.StoreDag, Query()],
    data: Bytes,
) -> None:
    """Keep the ProtocolDAG."""
    runs.store_dag(database, system.objects, principal, run, query.shared_id, data)


@router.get(paths.COMPUTE_DAG, response_class=Response, responses=_GIVEN)
def fetch_dag(
    database: ComputeDatabase, system: CurrentSystem, principal: ComputePrincipal, run: CurrentRun
) -> Response:
    """The ProtocolDAG of the checkpoint."""
    return _bytes(runs.fetch_dag(database, system.objects, principal, run))


@router.put(paths.COMPUTE_UNIT, status_code=_NO_CONTENT, openapi_extra=_TAKEN)
def store_unit(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    unit_result: str,
    query: Annotated[wire.StoreUnit, Query()],
    data: Bytes,
) -> None:
    """Keep a unit result."""
    unit = wire.StoredUnit(key=unit_result, unit_key=query.unit_key, ok=query.ok, directory=query.directory)
    runs.store_unit(database, system.objects, principal, run, unit, data)


@router.get(paths.COMPUTE_UNIT, response_class=Response, responses=_GIVEN)
def fetch_unit(
    database: ComputeDatabase, system: CurrentSystem, principal: ComputePrincipal, run: CurrentRun, unit_result: str
) -> Response:
    """A unit result of the checkpoint."""
    return _bytes(runs.fetch_unit(database, system.objects, principal, run, unit_result))


@router.put(paths.COMPUTE_UNIT_FILES, status_code=_NO_CONTENT, openapi_extra=_TAKEN)
def store_files(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    unit_result: str,
    part: Part,
    query: Annotated[wire.StoreFiles, Query()],
    data: Bytes,
) -> None:
    """Keep a part of the files that a unit left in the shared directory."""
    runs.store_files(database, system.objects, principal, run, unit_result, part, query, data)


@router.get(paths.COMPUTE_UNIT_FILES, response_class=Response, responses=_GIVEN)
def fetch_files(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    unit_result: str,
    part: Part,
) -> Response:
    """A part of the files of a unit."""
    return _bytes(runs.fetch_files(database, system.objects, principal, run, unit_result, part))


@router.get(paths.COMPUTE_EXTENDS, response_class=Response, responses=_GIVEN)
def fetch_extends(
    database: ComputeDatabase, system: CurrentSystem, principal: ComputePrincipal, run: CurrentRun
) -> Response:
    """The ProtocolDAGResult to extend."""
    stored = runs.fetch_extends(database, system.objects, principal, run)
    return Response(stored.data, media_type=BYTES, headers=written_by(stored.gufe_version))


@router.put(paths.COMPUTE_RESULT, status_code=_NO_CONTENT, openapi_extra=_TAKEN)
def store_result(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    query: Annotated[wire.StoreResult, Query()],
    data: Bytes,
) -> None:
    """Keep the bytes of the ProtocolDAGResult."""
    runs.store_result(database, system.objects, principal, run, query.key, query.ok, data)


@router.post(paths.COMPUTE_FINISH, openapi_extra=documented(wire.Finish))
def finish(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    body: Annotated[wire.Finish, Depends(json_body(wire.Finish))],
) -> wire.Finished:
    """Record the outcome."""
    return runs.finish(database, system.objects, principal, run, body)


@router.post(paths.COMPUTE_RELEASE, status_code=_NO_CONTENT, openapi_extra=documented(wire.Release))
def release(
    database: ComputeDatabase,
    system: CurrentSystem,
    principal: ComputePrincipal,
    run: CurrentRun,
    body: Annotated[wire.Release, Depends(json_body(wire.Release))],
) -> None:
    """Give the attempt back."""
    runs.release(database, principal, run, body, system.api.max_losses, system.api.back_off)


def _bytes(data: bytes) -> Response:
    return Response(data, media_type=BYTES)
