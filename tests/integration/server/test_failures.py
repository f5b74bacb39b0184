"""When the server itself is in trouble: what it says, what it does not say, and that it goes on."""

import shutil
import threading

import pytest
import structlog

from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.errors import NotFound, Unavailable
from alchemiscale_prefect.services import networks
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from tests.api_server import refused


@pytest.fixture
def serve(server, system):
    """Puts another system behind the server."""

    def put(**changes):
        parts = {"database": system.database, "objects": system.objects, "api": system.api, **changes}
        server.app.state.system = System(**parts)

    return put


def test_all_is_well(client):
    answer = client.get("/check")
    assert (answer.status_code, answer.json()) == (200, None)


def test_a_check_leaves_nothing_behind(client, system):
    client.get("/check")
    assert [path for path in system.objects.folder.rglob("*") if path.is_file()] == []


def test_no_database(client, serve):
    serve(database=Database("postgresql://nobody@127.0.0.1:9/nothing"))
    for path in ("/check", "/networks"):
        detail = refused(client.get(path), 503, "unavailable")
        assert "127.0.0.1" not in detail
    answer = client.post("/token", data={"username": "someone", "password": "wrong key"})
    refused(answer, 503, "unavailable")
    assert client.get("/ping").status_code == 200


def test_a_database_without_its_tables(client, serve, empty_database):
    serve(database=empty_database)
    assert "upgrade" in refused(client.get("/check"), 503, "unavailable")


def test_no_object_store(client, serve, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    serve(objects=LocalObjectStore(tmp_path / "file" / "objects"))
    assert "object store" in refused(client.get("/check"), 503, "unavailable")


def test_a_full_pool_is_said_to_be_busy(client, serve, database_url):
    small = Database(database_url, pool_size=1)
    small.engine.pool._timeout = 0.1
    serve(database=small)
    held = [small.engine.connect() for _ in range(2)]
    assert "busy" in refused(client.get("/networks"), 503, "unavailable")
    for connection in held:
        connection.close()
    assert client.get("/networks").json() == []
    small.close()


def test_an_error_of_ours_is_logged_and_says_nothing_of_the_inside(client, monkeypatch):
    def broken(*_args):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(networks, "query", broken)
    with structlog.testing.capture_logs() as logs:
        answer = client.get("/networks")
    detail = refused(answer, 500, "error")
    assert "secret" not in answer.text
    (entry,) = [entry for entry in logs if entry["event"] == "unexpected_error"]
    assert entry["incident"] in detail
    assert (entry["method"], entry["path"], entry["log_level"]) == ("GET", "/networks", "error")
    assert str(entry["exc_info"]) == "the secret inside"
    monkeypatch.undo()
    assert client.get("/networks").status_code == 200


def test_a_deadlock_is_said_to_pass(database):
    with database.transaction() as connection:
        connection.exec_driver_sql("create table one (id int primary key, n int)")
        connection.exec_driver_sql("insert into one values (1, 0), (2, 0)")
    met = threading.Barrier(2)
    outcomes: list[str] = []

    def work(first: int, second: int) -> None:
        try:
            with database.transaction() as connection:
                connection.exec_driver_sql(f"update one set n = n + 1 where id = {first}")
                met.wait(60)
                connection.exec_driver_sql(f"update one set n = n + 1 where id = {second}")
            outcomes.append("done")
        except Unavailable:
            outcomes.append("unavailable")

    threads = [threading.Thread(target=work, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "unavailable"]


def test_errors_of_ours_pass_a_transaction_unchanged(database):
    with pytest.raises(NotFound, match="gone"), database.transaction():
        raise NotFound("gone")


def test_a_store_folder_that_vanishes_is_made_again(client, system):
    client.get("/check")
    shutil.rmtree(system.objects.folder)
    assert client.get("/check").status_code == 200
