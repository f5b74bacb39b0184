"""A valid request for every route that users and compute runs have, made of what the app says of itself.

A new route is in here without a word, as long as its parameters and body are made of known names; else the tests that
use this say which name to add to `Home.values`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from sqlalchemy import text

from alchemiscale_prefect.api.app import create_app
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.access import IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import actions, submission, tasks
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.queries import grants, identities
from alchemiscale_prefect.wire.compute import LEASE_OWNER
from tests.api_server import SECRET
from tests.chains import keys_of, network_chain

OPERATOR = Principal.writing("operator", IdentityKind.user, (Scope(),))
OWNER = "00000000-0000-4000-8000-000000000001/1/here"
GRANTEE = "grantee"
FAR = 253402300799  # so that no lease of the tests ends
# every name that a body or a query has for something that decides nothing
_PLAIN = {
    "count": 1,
    "extends": None,
    "max_retries": 5,
    "num_allowed_restarts": 2,
    "permission": "read",
    "priority": 7,
    "state": "active",
    "states": ["inactive"],
    "status": "invalid",
    "strategy": None,
    "task_weights": True,
    "weight": 0.25,
    "weights": [0.25],
}
_RUN = {
    "n": 1,
    LEASE_OWNER: OWNER,
    "owner": OWNER,
    "flow_run_id": OWNER.partition("/")[0],
    "host": "here",
    "unit_result": "ProtocolUnitResult-1",
    "unit_key": "ProtocolUnit-1",
    "part": 0,
    "shared_id": "shared",
    "key": "ProtocolDAGResult-1",
    "ok": False,
    "units_done": 1,
    "units_total": 2,
    "fraction": 0.75,
    "reason": "told to",
}


@dataclass(frozen=True)
class Request:
    """A request, and the route that it is for."""

    method: str
    path: str
    kind: IdentityKind
    url: str
    arguments: Mapping[str, Any] = field(compare=False)

    def send(self, client: httpx.Client) -> httpx.Response:
        """Send it."""
        return client.request(self.method, self.url, **self.arguments)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Home:
    """What one scope holds: something for every route to find."""

    scope: Scope
    values: Mapping[str, Any]

    def secrets(self) -> set[str]:
        """Strings that an answer holds only if it tells something of this scope that the request did not name."""
        return {
            self.values["name"],
            str(self.values["traceback"]),
            "Transformation-",
            "ChemicalSystem-",
            "DAGResultRef-",
        }


def make_home(database: Database, objects: LocalObjectStore, scope: Scope) -> Home:
    """Fill a scope: a network with Tasks in every state, results, a checkpoint, a restart pattern and a Strategy."""
    name = f"network of {scope}"
    chain = network_chain(name, ["a", "b"], [(0, 1)])
    network = submission.create_network(database, OPERATOR, chain, scope)
    edge = ScopedKey.of(keys_of(chain, "Transformation")[0], scope)
    made = [ScopedKey.from_str(key) for key in tasks.create(database, OPERATOR, [edge] * 4)]
    actions.action(database, OPERATOR, network, made)
    with database.transaction() as connection:
        ids = dict(
            connection.execute(
                text("select key, id from task where key = any(:keys)"), {"keys": [task.gufe_key for task in made]}
            )
            .tuples()
            .all()
        )
        _run(connection, [ids[task.gufe_key] for task in made], str(network.gufe_key), str(scope))
        ref = connection.execute(
            text("select key from result where task_id = :task"), {"task": ids[made[2].gufe_key]}
        ).scalar_one()
        identity_id = identities.create(connection, "user", f"{GRANTEE}_of_{scope.org}")
        if identity_id is None:
            identity_id = identities.find(connection, "user", f"{GRANTEE}_of_{scope.org}").id
        grants.give(connection, identity_id, {str(scope): Permission.read.value})
    for kind in ("result", "dag", "unit", "unit.files-0"):
        objects.put(f"{scope}/{kind}", f"bytes of {scope}".encode())
    values = {
        "network": str(network),
        "networks": [str(network)],
        "transformation": str(edge),
        "transformations": [str(edge)],
        "chemical_system": f"{keys_of(chain, 'ChemicalSystem')[0]}-{scope}",
        "task": str(made[0]),
        "tasks": [str(task) for task in made[:2]],
        "complete": str(made[2]),
        "failed": str(made[3]),
        "result": f"{ref}-{scope}",
        "route": "results",
        "key": str(network),
        "scope": str(scope),
        "identity": f"{GRANTEE}_of_{scope.org}",
        "identifier": f"{GRANTEE}_of_{scope.org}",
        "patterns": ["known"],
        "name": name,
        "traceback": f"traceback of {scope}",
    }
    return Home(scope, values)


def _run(connection: Any, ids: Sequence[int], network: str, scope: str) -> None:
    """A running Task with a checkpoint, a waiting one, one with a result, one with a failure."""
    running, _, complete, failed = ids
    statements = """
        update task set status = 'running' where id = :running;
        update task set status = 'complete' where id = :complete;
        update task set status = 'error' where id = :failed;
        delete from action where task_id in (:waiting, :complete);
        insert into attempt (task_id, n, pool, state, tags, lease_owner, lease_expires_at, started_at)
            values (:running, 1, 'pool', 'running', '[]', :owner, to_timestamp(:far), now());
        insert into attempt (task_id, n, pool, state, tags, started_at, ended_at)
            values (:complete, 1, 'pool', 'complete', '[]', now(), now()),
                   (:failed, 1, 'pool', 'error', '[]', now(), now());
        insert into checkpoint (task_id, dag_location, shared_id) values (:running, :scope || '/dag', 'shared');
        insert into unit_result (task_id, key, unit_key, attempt, ok, location, size, file_parts)
            values (:running, 'ProtocolUnitResult-1', 'ProtocolUnit-1', 1, true, :scope || '/unit', 1, 1);
        insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, location,
                            size, estimate, tracebacks, creator)
            select 'ProtocolDAGResultRef-' || replace(cast(gen_random_uuid() as text), '-', ''), scope_id,
                   transformation_id, id, 1, id = :complete, 'DummyProtocolResult-1', :scope || '/result', 1, 1.5,
                   case when id = :failed then cast(:tracebacks as jsonb) end, 'compute'
            from task where id in (:complete, :failed);
        insert into restart_pattern (network_id, pattern, max_retries)
            select id, 'known', 3 from gufe_object where key = :network and scope_id = (
                select scope_id from task where id = :running);
        insert into strategy (network_id, strategy_id, creator, status)
            select network_id, protocol_id, 'user', 'dormant' from restart_pattern, transformation
            where transformation.id = (select transformation_id from task where id = :running)
              and network_id in (select network_id from action where task_id = :running);
        insert into strategy_proposal (network_id, proposal)
            select network_id, jsonb_build_object('network', :network || '-' || :scope, 'iteration', 1, 'status',
                                                  'dormant', 'performed_at', now(), 'result_count', 1)
            from strategy where network_id in (select network_id from action where task_id = :running)
    """
    failure = (
        '[{"failure_key": "ProtocolUnitFailure-1", "source_key": "ProtocolUnit-1", "name": "unit", '
        f'"exception": "ValueError", "traceback": "traceback of {scope}"}}]'
    )
    parameters = {
        "running": running,
        "waiting": ids[1],
        "complete": complete,
        "failed": failed,
        "owner": OWNER,
        "far": FAR,
        "scope": scope,
        "network": network,
        "tracebacks": failure,
    }
    for statement in statements.split(";"):
        connection.execute(text(statement), parameters)


@cache
def described() -> Mapping[str, Any]:
    """What the app says of its routes."""
    system = System(
        Database("postgresql://nowhere"), LocalObjectStore.__new__(LocalObjectStore), ApiSettings(jwt_secret=SECRET)
    )
    return create_app(system).openapi()["paths"]


def every_request(home: Home) -> Iterator[Request]:
    """One request for every route of users and of compute runs, valid for who may write in the home's scope."""
    for path, operations in sorted(described().items()):
        for method, operation in sorted(operations.items()):
            kinds = [kind for security in operation.get("security", []) for kind in security]
            if kinds and kinds != [IdentityKind.admin]:
                yield _request(home, method.upper(), path, operation, IdentityKind(kinds[0]))


def _request(home: Home, method: str, path: str, operation: Mapping[str, Any], kind: IdentityKind) -> Request:
    known = {**_PLAIN, **home.values, **(_RUN if kind is IdentityKind.compute else {}), **_special(home, path)}
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", ()):
        if parameter["required"]:
            given[parameter["in"]][parameter["name"]] = str(known[parameter["name"]])
    arguments: dict[str, Any] = {"params": given["query"], "headers": given["header"]}
    for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if content_type == "application/json":
            arguments["json"] = known["body"] if "body" in known else _body(content["schema"], known)
        else:
            arguments["content"] = b"bytes"
    return Request(method, path, kind, path.format(**given["path"]), arguments)


def _special(home: Home, path: str) -> dict[str, Any]:
    """Where a name means something else than elsewhere."""
    return {
        "/networks": {"network": network_chain("another", ["a", "b", "c"], [(0, 1), (1, 2)])},
        "/bulk/networks/merge": {"network": network_chain("merged", ["a", "b"], [(0, 1)])[-1]},
        "/bulk/networks/copy": {"scope": f"{home.scope.org}-{home.scope.campaign}-copies"},
        "/bulk/transformations/tasks/set": {"count": 9},
        "/networks/{network}/weight": {"body": 0.25},
        "/networks/{network}/restartpatterns/add": {"patterns": ["another"]},
        "/tasks/{task}/results": {"task": home.values["complete"]},
        "/tasks/{task}/failures": {"task": home.values["failed"]},
        "/tasks/{task}/tracebacks": {"task": home.values["failed"]},
        "/tasks/{task}/status": {"body": "invalid"},
        "/compute/tasks/{task}/attempts/{n}/units/{unit_result}": {"ok": True},
    }.get(path, {})


def _body(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    properties = schema.get("properties", {})
    return {
        name: known[name] for name in properties if name in schema.get("required", ()) or name in ("transformations",)
    }


def rows_of(database: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with database.transaction() as connection:
        return {
            table.name: sorted(connection.exec_driver_sql(f"select {table.name}::text from {table.name}").scalars())
            for table in schema.metadata.sorted_tables
        }
