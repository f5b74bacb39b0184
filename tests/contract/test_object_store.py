"""What every object store must do. A new implementation is one more parameter of `store`."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alchemiscale_prefect.domain.errors import InvalidInput, NotFound, Unavailable
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.objects.port import ObjectStore


def _local(folder: Path) -> ObjectStore:
    return LocalObjectStore(folder / "objects")


@pytest.fixture(params=[_local], ids=["local"])
def store(request, tmp_path) -> ObjectStore:
    return request.param(tmp_path)


def test_what_is_put_is_what_comes_back(store):
    data = bytes(range(256)) * 1000
    store.put("protocoldagresult/org/campaign/project/T-1/results/R-1/obj.json.zst", data)
    assert store.get("protocoldagresult/org/campaign/project/T-1/results/R-1/obj.json.zst") == data
    assert store.size("protocoldagresult/org/campaign/project/T-1/results/R-1/obj.json.zst") == len(data)


def test_empty_objects_are_objects(store):
    store.put("a/empty", b"")
    assert store.exists("a/empty")
    assert store.size("a/empty") == 0
    assert store.get("a/empty") == b""


def test_a_second_put_replaces_the_first(store):
    store.put("a/b", b"one, and longer")
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two"


def test_what_is_not_there_is_said_to_be_missing(store):
    assert not store.exists("a/b")
    assert store.size("a/b") is None
    with pytest.raises(NotFound, match="a/b"):
        store.get("a/b")


def test_a_folder_is_not_an_object(store):
    store.put("a/b/c", b"1")
    assert not store.exists("a/b")
    with pytest.raises(NotFound):
        store.get("a/b")


def test_delete_forgets_these_and_no_others_and_minds_no_missing_ones(store):
    for name in ("a/1", "a/2", "a/3"):
        store.put(name, b"x")
    store.delete(["a/1", "never/there", "a/3"])
    assert [store.exists(f"a/{n}") for n in (1, 2, 3)] == [False, True, False]
    store.delete([])
    store.delete(location for location in ["a/2"])
    assert not store.exists("a/2")


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/etc/passwd",
        "../outside",
        "a/../../outside",
        "a/..",
        ".",
        "a/./b",
        "a//b",
        "a/",
        "a\\..\\b",
        "a\x00b",
        "a/%2e%2e/b",
        "a b",
        "é",
        "a/" + "b" * 256,
        "a/" * 600 + "b",
    ],
)
def test_no_location_leads_out_of_the_store(store, tmp_path, location):
    before = sorted(tmp_path.rglob("*"))
    for call in (lambda: store.put(location, b"x"), lambda: store.get(location), lambda: store.exists(location)):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.field == "location"
    with pytest.raises(InvalidInput):
        store.delete(["a/fine", location])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_reader_never_sees_a_part_of_a_write(store):
    size = 2_000_000
    store.put("a/b", b"0" * size)
    stop = threading.Event()
    torn: list[bytes] = []

    def read() -> None:
        while not stop.is_set():
            data = store.get("a/b")
            if len(data) != size or len(set(data)) != 1:
                torn.append(data)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(60):
        store.put("a/b", str(n % 10).encode() * size)
    stop.set()
    for reader in readers:
        reader.join()
    assert not torn


def test_puts_beside_deletes_in_one_folder_all_succeed(store):
    def churn(name: str) -> None:
        for _ in range(200):
            store.put(f"deep/er/{name}", b"x")
            store.delete([f"deep/er/{name}"])

    failures: list[BaseException] = []

    def guarded(name: str) -> None:
        try:
            churn(name)
        except BaseException as error:  # noqa: BLE001  reported below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_folder_that_cannot_be_used_is_said_to_be_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    store = LocalObjectStore(tmp_path / "file" / "objects")
    with pytest.raises(Unavailable, match="object store"):
        store.put("a/b", b"x")


def test_what_was_put_is_synced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    folder = tmp_path / "store"
    LocalObjectStore(folder).put("a/b/c", b"result")
    assert synced == [str(folder / "a/b/c"), str(folder / "a/b"), str(folder / "a"), str(folder)]


def test_what_is_below_a_location_is_listed_with_size_and_time(store):
    names = {f"a/{number}" for number in range(5)} | {"a/deeper/down"}
    for name in (*names, "ab/1", "b"):
        store.put(name, name.encode())
    listed = [item for batch in store.list("a") for item in batch]
    assert {item.location for item in listed} == names
    assert all(item.size == len(item.location) for item in listed)
    assert all(abs(datetime.now(UTC) - item.modified) < timedelta(minutes=10) for item in listed)
    store.delete(names)
    assert [item for batch in store.list("a") for item in batch] == []
    assert [item for batch in store.list("never/there") for item in batch] == []
    with pytest.raises(InvalidInput):
        list(store.list("../elsewhere"))
