"""The API on a real port, over a real Postgres and a real folder, and clients that are logged in to it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from alchemiscale_prefect.api import auth
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import api_keys, submission, tasks
from alchemiscale_prefect.services.logins import Login
from alchemiscale_prefect.settings import ApiSettings
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.queries import identities
from alchemiscale_prefect.store.queries.grants import give
from tests.api_server import MAX_BODY, SCOPE, SECRET, Server
from tests.chains import Chain, network_chain


@pytest.fixture
def api_settings() -> ApiSettings:
    """Override it to serve with others."""
    return ApiSettings(
        jwt_secret=SECRET,
        max_body_bytes=MAX_BODY,
        max_token_requests_per_minute=5,
        # for as long as a test: not so that a busy machine decides whether an identity is asked for again
        identity_cache_seconds=600.0,
    )


@pytest.fixture
def system(database: Database, tmp_path, api_settings: ApiSettings) -> System:
    return System(database, LocalObjectStore(tmp_path / "objects"), api_settings)


@pytest.fixture
def api_url(server: Server, system: System) -> str:
    """The address of the server of `system`."""
    auth.install(server.app, system)
    return server.url


@pytest.fixture
def connect(api_url: str) -> Iterator[Callable[..., httpx.Client]]:
    """Gives a client with these headers."""
    made: list[httpx.Client] = []

    def connected(**headers: str) -> httpx.Client:
        # certificates, read for each client, would take longer than most tests
        made.append(httpx.Client(base_url=api_url, headers=headers, timeout=60, verify=False))
        return made[-1]

    yield connected
    for client in made:
        client.close()


@pytest.fixture
def log_in(connect, system: System) -> Callable[..., httpx.Client]:
    """Gives a client that is logged in as an identity with these grants; a scope alone stands for ``write`` in it."""

    def logged_in(
        identifier: str, grants: Sequence[Scope | Grant], kind: IdentityKind = IdentityKind.user
    ) -> httpx.Client:
        # test_login.py goes the whole way; a hash for every test would take longer than the rest of it
        held = tuple(grant if isinstance(grant, Grant) else Grant(grant) for grant in grants)
        with system.database.transaction() as connection:
            identity_id = identities.create(connection, kind, identifier)
            if identity_id is not None:
                give(connection, identity_id, {str(grant.scope): grant.permission.value for grant in held})
            stamp = identities.version(connection, kind, identifier)
        token = auth.issue(system.api, Login(Principal(identifier, kind, held), stamp, None))
        return connect(Authorization=f"Bearer {token}")

    return logged_in


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are hashed with next to no work; test_login.py uses Argon2 as it is."""
    hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    unusable = hasher.hash("nobody's key")
    monkeypatch.setattr(api_keys, "_hasher", lambda: hasher)
    monkeypatch.setattr(api_keys, "_unusable_hash", lambda: unusable)


@pytest.fixture
def client(log_in) -> httpx.Client:
    """Logged in as a user who sees all of ``test_org``."""
    return log_in("user", [Scope("test_org")])


@pytest.fixture
def principal() -> Principal:
    """The user of `client`, for calling services without HTTP."""
    return Principal.writing("user", IdentityKind.user, (Scope("test_org"),))


@pytest.fixture
def operator() -> Principal:
    """One who sees everything."""
    return Principal.writing("operator", IdentityKind.user, (Scope(),))


@pytest.fixture
def submit(database: Database, operator: Principal) -> Callable[..., ScopedKey]:
    """Keeps a chain in a scope, without HTTP."""

    def submitted(chain: Chain | None = None, scope: Scope = SCOPE, **kwargs: Any) -> ScopedKey:
        return submission.create_network(database, operator, chain or network_chain(), scope, **kwargs)

    return submitted


@pytest.fixture
def make_tasks(database: Database, operator: Principal) -> Callable[..., list[ScopedKey]]:
    """Makes Tasks of a Transformation, without HTTP."""

    def made(transformation: str, count: int = 1, scope: Scope = SCOPE, extends: Any = None) -> list[ScopedKey]:
        key = ScopedKey.of(transformation, scope)
        found = tasks.create(database, operator, [key] * count, [extends] * count)
        return [ScopedKey.from_str(name) for name in found]

    return made


@pytest.fixture
def force(database: Database) -> Callable[..., None]:
    """Gives a Task a status that only a run can give it, with the attempt that goes with it."""

    def forced(task: ScopedKey, status: str, attempt: str | None = None) -> None:
        with database.transaction() as connection:
            task_id = connection.execute(
                text("update task set status = :status where key = :key returning id"),
                {"status": status, "key": task.gufe_key},
            ).scalar_one()
            if attempt is not None:
                connection.execute(
                    text(
                        "insert into attempt (task_id, n, pool, state, tags, units_done, units_total) "
                        "select :task, count(*) + 1, 'pool', :state, '[]', 2, 5 from attempt where task_id = :task"
                    ),
                    {"task": task_id, "state": attempt},
                )
            queue.refresh(connection, [task_id])

    return forced


@pytest.fixture
def attempts_of(database: Database) -> Callable[[ScopedKey], list[str]]:
    """The states of a Task's attempts, in order."""

    def states(task: ScopedKey) -> list[str]:
        with database.transaction() as connection:
            rows = connection.execute(
                text("select a.state from attempt a join task t on t.id = a.task_id where t.key = :key order by a.n"),
                {"key": task.gufe_key},
            )
            return list(rows.scalars())

    return states


@pytest.fixture
def queued(database: Database) -> Callable[[], set[str]]:
    """Keys of the Tasks that may be claimed now."""

    def keys() -> set[str]:
        with database.transaction() as connection:
            rows = connection.execute(
                text("select distinct t.key from action a join task t on t.id = a.task_id where a.queued")
            )
            return set(rows.scalars())

    return keys
