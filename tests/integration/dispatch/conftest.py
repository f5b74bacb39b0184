"""A world of networks and Tasks for each test of dispatching."""

import pytest

from alchemiscale_prefect.store.database import Database
from tests.integration.dispatch.world import MemoryLauncher, World


@pytest.fixture
def world(database: Database, tmp_path) -> World:
    return World(database, tmp_path / "objects")


@pytest.fixture
def launcher() -> MemoryLauncher:
    return MemoryLauncher()
