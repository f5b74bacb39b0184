"""The client against a real API: three scopes, in each an active network and a smaller, inactive part of it.

As in alchemiscale's own tests of its client, whose names the tests here keep.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text
from sqlalchemy.engine import make_url

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.api import auth
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    ChemicalSystem,
    NonTransformation,
    ProtocolUnitResult,
    Transformation,
)
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.execution.attempt import Attempt, Outcome
from alchemiscale_prefect.execution.compute_client import ComputeClient, Execution
from alchemiscale_prefect.execution.schedule import Done
from alchemiscale_prefect.execution.units import UnitFailed, UnitRun
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.services import dispatch, identities, submission
from alchemiscale_prefect.settings import ApiSettings, ComputeSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.wire import paths
from tests import protocols
from tests.api_server import Server
from tests.command_line import CommandLine
from tests.integration.databases import Databases
from tests.integration.databases import Server as PostgresServer

USER, OTHER_USER, WORKER = "test_user", "other_user", "test_worker"
KEY = "a key that only this test user knows"
SCOPES = [
    Scope("test_org", "test_campaign", "test_project"),
    Scope("test_org_1", "test_campaign_1", "test_project_1"),
    Scope("test_org_2", "test_campaign_2", "test_project_2"),
]
FOREIGN = Scope("other_org", "other_campaign", "other_project")


# --- what is in the database ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def network() -> AlchemicalNetwork:
    """Twelve Transformations and a NonTransformation."""
    return protocols.chain_network(12, name="benchmark")


@pytest.fixture(scope="session")
def incomplete(network: AlchemicalNetwork) -> AlchemicalNetwork:
    """The same without two of its edges."""
    return AlchemicalNetwork(edges=sorted(network.edges)[:-2], name="incomplete")


@pytest.fixture(scope="session")
def transformation(network: AlchemicalNetwork, incomplete: AlchemicalNetwork) -> Transformation:
    """One that both networks have."""
    return next(edge for edge in sorted(incomplete.edges) if not isinstance(edge, NonTransformation))


@pytest.fixture(scope="session")
def nontransformation(network: AlchemicalNetwork) -> NonTransformation:
    return next(edge for edge in network.edges if isinstance(edge, NonTransformation))


@pytest.fixture(scope="session")
def chemicalsystem(transformation: Transformation) -> ChemicalSystem:
    return transformation.stateA


@pytest.fixture(scope="session")
def preloaded(
    postgres: PostgresServer, template_database: str, network: AlchemicalNetwork, incomplete: AlchemicalNetwork
) -> Iterator[str]:
    """Name of a database to copy, with networks and identities in it."""
    url = postgres.create(template_database)
    database = Database(url)
    operator = Principal.writing("operator", IdentityKind.user, (Scope(),))
    for scope in SCOPES:
        for obj, state in ((network, "active"), (incomplete, "inactive")):
            submission.create_network(database, operator, json.loads(keyed_chains.to_json(obj)), scope, state)
    for kind, identifier, scopes in (
        (IdentityKind.user, USER, SCOPES),
        (IdentityKind.user, OTHER_USER, [FOREIGN]),
        (IdentityKind.compute, WORKER, [Scope()]),
    ):
        identities.create(database, Principal.operating(), kind, identifier, KEY, scopes)
    with database.transaction() as connection:
        # every test logs in, and a hash worth its name takes a tenth of a second
        cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(KEY)
        connection.execute(text("update identity_key set hash = :cheap"), {"cheap": cheap})
    database.close()
    yield str(make_url(url).database)
    postgres.drop(url)


# --- who talks about it -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def preloaded_databases(postgres: PostgresServer, preloaded: str) -> Iterator[Databases]:
    """Copies of `preloaded`, used again."""
    databases = Databases(postgres, preloaded)
    yield databases
    databases.close()


@pytest.fixture
def system(preloaded_databases: Databases, tmp_path: Path) -> Iterator[System]:
    url = preloaded_databases.take()
    settings = ApiSettings(jwt_secret=secrets.token_hex(32))
    system = System(Database(url), LocalObjectStore(tmp_path / "objects"), settings)
    yield system
    system.close()
    preloaded_databases.give_back(url)


@pytest.fixture
def api_url(server: Server, system: System) -> str:
    auth.install(server.app, system)
    return server.url


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ALCHEMISCALE_URL", "ALCHEMISCALE_ID", "ALCHEMISCALE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ALCHEMISCALE_ALLOWED_MODULES", "tests")


@pytest.fixture
def client(api_url: str, tmp_path: Path) -> Iterator[AlchemiscaleClient]:
    with AlchemiscaleClient(api_url, USER, KEY, cache_directory=tmp_path / "cache", max_retries=0) as client:
        yield client


@pytest.fixture
def client_no_cache(api_url: str) -> Iterator[AlchemiscaleClient]:
    with AlchemiscaleClient(api_url, USER, KEY, use_local_cache=False, max_retries=0) as client:
        yield client


@pytest.fixture
def other_client(api_url: str) -> Iterator[AlchemiscaleClient]:
    """Of somebody who sees another scope."""
    with AlchemiscaleClient(api_url, OTHER_USER, KEY, use_local_cache=False, max_retries=0) as client:
        yield client


@pytest.fixture
def cli(api_url: str, tmp_path: Path) -> CommandLine:
    """The command line as the test's user has it."""
    return CommandLine(
        {
            "ALCHEMISCALE_URL": api_url,
            "ALCHEMISCALE_ID": USER,
            "ALCHEMISCALE_KEY": KEY,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
    )


@pytest.fixture
def scope() -> Scope:
    return SCOPES[0]


@pytest.fixture
def network_key(network: AlchemicalNetwork, scope: Scope) -> ScopedKey:
    return ScopedKey.of(str(network.key), scope)


@pytest.fixture
def transformation_key(transformation: Transformation, scope: Scope) -> ScopedKey:
    return ScopedKey.of(str(transformation.key), scope)


# --- who does the work ------------------------------------------------------------------------------------------------


class Quiet:
    """A report that nobody reads."""

    def progress(self, units_done: int, units_total: int, fraction: float | None) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        pass


def run_unit(run: UnitRun, done: Done[ProtocolUnitResult]) -> None:
    """One try, in this thread."""
    try:
        done(run.attempt())
    except UnitFailed as failure:
        done(failure)


@pytest.fixture
def work(system: System, api_url: str, tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Runs every Task that may run now, over HTTP as a worker does but without Prefect; how many those were."""
    settings = ComputeSettings(
        api_url=api_url,
        identifier=WORKER,
        key=KEY,
        shared_basedir=tmp_path / "shared",
        scratch_basedir=tmp_path / "scratch",
    )

    transport = Transport(api_url, WORKER, KEY, token_path=paths.COMPUTE_TOKEN, retry=RetryPolicy(max_retries=0))

    def lost(_left: float) -> None:
        raise AssertionError("the lease was lost")

    def worked() -> int:
        launches = dispatch.claim(system.database, dispatch.Pool("test", 1000, 1000))
        for launch in launches:
            execution = Execution(launch.attempt.task, launch.attempt.n, uuid4(), 1, "here")
            Attempt(ComputeClient(transport, transport, execution), settings, run_unit, Quiet(), lost).run()
        return len(launches)

    yield worked
    transport.close()
