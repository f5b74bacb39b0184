"""A Task whose host is gone, over HTTP as a worker does: another host goes on with the unit that was running."""

import gc
import logging
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, Scope
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, ProtocolUnitResult
from alchemiscale_prefect.execution.attempt import Attempt
from alchemiscale_prefect.execution.compute_client import ComputeClient, Execution
from alchemiscale_prefect.execution.schedule import Done
from alchemiscale_prefect.execution.units import UnitRun
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.settings import ComputeSettings
from alchemiscale_prefect.wire import compute as wire
from tests import protocols
from tests.integration.sdk.conftest import KEY, WORKER, Quiet
from tests.relay_protocol import RelayProtocol, RelaySettings


class HostGone(RuntimeError):
    """Ends an attempt."""


def test_a_task_goes_on_where_the_shared_directory_is_not(
    client: AlchemiscaleClient,
    system: System,
    api_url: str,
    scope: Scope,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(wire, "PART_BYTES", 120)
    protocol = RelayProtocol(RelaySettings(marker_directory=str(tmp_path / "markers"), naming="through"))
    network = AlchemicalNetwork(edges=[protocols.transformation(protocol, name="relay")], name="relay")
    key = client.create_network(network, scope, visualize=False)
    (edge,) = client.get_network_transformations(key)
    (task,) = client.create_tasks(edge)
    assert client.action_tasks([task], key) == [task]

    def attempt(host: str, last: int) -> None:
        gc.collect()  # gufe gives a result that is alive for one that is read
        (launch,) = dispatch.claim(system.database, dispatch.Pool("test", 1, 1))
        settings = ComputeSettings(
            api_url=api_url,
            identifier=WORKER,
            key=KEY,
            shared_basedir=tmp_path / host / "shared",
            scratch_basedir=tmp_path / host / "scratch",
        )

        def run(unit: UnitRun, done: Done[ProtocolUnitResult]) -> None:
            done(HostGone() if int(unit.name.split()[1]) > last else unit.attempt())

        execution = Execution(launch.attempt.task, launch.attempt.n, uuid4(), 1, host)
        compute = ComputeClient.connect(api_url, WORKER, KEY, execution)
        try:
            Attempt(compute, settings, run, Quiet(), lambda _: None).run()
        finally:
            compute.close()

    with caplog.at_level(logging.WARNING):
        with pytest.raises(HostGone):
            attempt("one", last=2)
        shutil.rmtree(tmp_path / "one")
        with system.database.transaction() as connection:
            connection.execute(text("update task set not_before = now() where not_before is not null"))
        assert dispatch.end_rest(system.database) == 1
        attempt("two", last=5)
    assert not [record for record in caplog.records if "execution" in record.name]
    assert client.get_tasks_status([task]) == ["complete"]
    assert protocols.executions(tmp_path / "markers") == {f"leg-{index}": 1 for index in range(6)}
    (pdr,) = client.get_task_results(task, visualize=False)
    assert len(pdr.protocol_unit_results) == 6
    assert not list((tmp_path / "objects").rglob("*files-*")), "they go with the checkpoint"
