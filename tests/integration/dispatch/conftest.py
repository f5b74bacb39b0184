"""A world of networks and Tasks for each test of dispatching."""

import pytest

from alchemiscale_prefect.store.database import Database
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World


@pytest.fixture
def world(database: Database, tmp_path) -> World:
    return World(database, tmp_path / "objects")


@pytest.fixture
def launcher() -> MemoryLauncher:
    return MemoryLauncher()


@pytest.fixture
def net(world: World) -> Net:
    """A network of one Transformation."""
    return world.network()


@pytest.fixture
def run(world: World, net: Net) -> FlowRun:
    """A flow run in the middle of its DAG, its result on the way."""
    world.tasks(net)
    (begun,) = world.started()
    begun.store_dag()
    begun.store_unit()
    begun.store_result()
    return begun
