"""Hosts over HTTP: what operators see and do, with client and commands, and what a flow run is answered."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from alchemiscale_prefect import AlchemiscaleAdminClient, AlchemiscaleClientError, Scope, cli
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.checks import CheckStatus
from alchemiscale_prefect.domain.errors import HostRefused
from alchemiscale_prefect.domain.hosts import HostPolicy
from alchemiscale_prefect.execution.compute_client import ComputeClient, Execution
from alchemiscale_prefect.services import hosts, identities
from tests.api_server import KEY
from tests.integration.dispatch.fleet import age, begin, fail
from tests.integration.dispatch.world import World

OPERATOR = Principal.operating()
END = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(database, tmp_path, cheap_hashes) -> World:
    """On `bad` Tasks fail that do not fail on `good`."""
    world = World(database, tmp_path / "runs")
    world.tasks(world.network(), 10)
    for n in range(6):
        (attempt,) = world.claim()
        run = world.run(attempt)
        begin(run, "good" if n < 3 else "bad", image=f"image:{n // 3}")
        run.complete() if n < 3 else fail(run)
    identities.create(database, OPERATOR, IdentityKind.admin, "root", KEY)
    return world


@pytest.fixture
def admin(api_url, world):
    with AlchemiscaleAdminClient(api_url, "root", KEY, max_retries=0) as client:
        yield client


def refusal(call, *arguments):
    with pytest.raises(AlchemiscaleClientError) as caught:
        call(*arguments)
    return caught.value.status_code, caught.value.code, caught.value.field


def test_a_flow_run_is_refused_and_the_operator_sees_why(admin, world, api_url, database):
    identities.create(database, OPERATOR, IdentityKind.compute, "cluster", KEY, world.user.grants)
    (attempt,) = world.claim()
    compute = ComputeClient.connect(api_url, "cluster", KEY, Execution(attempt.task, attempt.n, uuid4(), 1, "bad", "i"))
    with pytest.raises(HostRefused, match=r"^refused on host bad: it is banned until .* elsewhere$") as caught:
        compute.begin()
    compute.close()
    assert caught.value.retry_after == 300
    assert world.attempt(attempt).image == "i"
    found = admin.list_hosts()
    bad, good = found.hosts
    assert (bad.name, bad.state, bad.bans, bad.banned_by) == ("bad", "banned", 1, None)
    assert bad.until - bad.since == timedelta(minutes=5)
    assert bad.reason.endswith("the last one: SimulationUnit: NaN")
    assert (bad.record.failed, bad.record.blamed, bad.record.succeeded, bad.record.failing) == (3, 3, 0, True)
    assert bad.record.last_failure == "SimulationUnit: NaN"
    assert (bad.pools, bad.images) == (["pool"], ["image:1"])
    assert (good.name, good.state, good.record.succeeded, good.record.failing) == ("good", "healthy", 3, False)
    assert [(place.name, place.hosts, place.record.failing) for place in found.pools] == [("pool", 2, False)]
    assert [(image.name, image.record.failing) for image in found.images] == [("image:0", False), ("image:1", True)]
    check = hosts.check(database, HostPolicy())
    assert (check.status, check.detail) == (CheckStatus.warning, "bad (banned), image image:1 fails")
    age(world, 301)
    assert admin.list_hosts().hosts[0].state == "probation"


def test_an_operator_bans_and_pardons_and_the_audit_tells(admin, world, database):
    admin.ban_host("new host/17", "driver update", END)
    admin.ban_host("good", "to be replaced")
    by_name = {host.name: host for host in admin.list_hosts().hosts}
    assert (by_name["new host/17"].until, by_name["new host/17"].reason) == (END, "driver update")
    assert (by_name["good"].state, by_name["good"].until, by_name["good"].banned_by) == ("banned", None, "root")
    (attempt,) = world.claim()
    with pytest.raises(HostRefused, match="to be replaced"):
        begin(world.run(attempt), "good")
    for host in ("good", "new host/17", "bad"):
        admin.pardon_host(host)
    (attempt,) = world.claim()
    begin(world.run(attempt), "bad")
    assert {host.state for host in admin.list_hosts().hosts} == {"healthy"}
    assert hosts.check(database, HostPolicy()).status is CheckStatus.warning  # the image
    told = [(entry.action, entry.target) for entry in admin.get_audit("root")]
    assert told[:2] == [("host.pardon", "bad"), ("host.pardon", "new host/17")]
    assert told[-1] == ("host.ban", "new host/17")
    assert refusal(admin.pardon_host, "unheard-of") == (400, "not_found", "host")
    assert refusal(admin.ban_host, "", "why") == (400, "invalid_input", "host")
    assert refusal(admin.ban_host, "x", " ") == (400, "invalid_input", "reason")
    assert refusal(admin.ban_host, "x", "why", datetime(2000, 1, 1, tzinfo=UTC)) == (400, "invalid_input", "until")
    assert refusal(admin.ban_host, "x", "why", datetime(2100, 1, 1)) == (400, "invalid_input", "until")  # noqa: DTZ001
    assert "x" not in {host.name for host in admin.list_hosts().hosts}


@pytest.mark.parametrize("way", ["over HTTP", "on the database"])
def test_the_commands(way, api_url, database_url, world, monkeypatch):
    if way == "over HTTP":
        for name, value in (("URL", api_url), ("ADMIN_ID", "root"), ("ADMIN_KEY", KEY)):
            monkeypatch.setenv(f"ALCHEMISCALE_{name}", value)
    else:
        monkeypatch.delenv("ALCHEMISCALE_ADMIN_ID", raising=False)
        monkeypatch.delenv("ALCHEMISCALE_ADMIN_KEY", raising=False)
        monkeypatch.setenv("ALCHEMISCALE_DATABASE_URL", database_url)

    def run(*words):
        done = CliRunner().invoke(cli.build(), ["host", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout) if "--json" in words else done.output

    assert run("ban", "gpu17", "--reason", "fan", "--until", "2100-01-01", "--json")["until"].startswith("2100-01-01")
    listed = run("list", "--json")
    assert [(host["name"], host["state"]) for host in listed["hosts"]] == [
        ("bad", "banned"),
        ("good", "healthy"),
        ("gpu17", "banned"),
    ]
    text = run("list")
    assert "SimulationUnit: NaN" in text
    assert "gpu17: fan" in text
    assert "image image:1: Tasks fail in it that do not fail in others" in text
    assert "good" not in run("list", "--refused")
    assert "gpu17 is pardoned" in run("pardon", "gpu17")


def test_users_and_flow_runs_are_not_told_of_hosts(log_in):
    for kind in (IdentityKind.user, IdentityKind.compute):
        assert log_in("someone", [Scope()], kind=kind).get("/admin/hosts").status_code == 401
