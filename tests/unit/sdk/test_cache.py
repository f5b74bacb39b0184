"""The cache on disk."""

import multiprocessing
import os
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.sdk.cache import CorruptedEntry, DiskCache

# four bytes of checksum go with every entry
OVERHEAD = 4


def data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("??/*"))


def test_what_is_put_in_comes_out_also_later(tmp_path: Path) -> None:
    DiskCache(tmp_path, 1000).set("key", b"\x00data")
    assert DiskCache(tmp_path, 1000).get("key") == b"\x00data"
    assert DiskCache(tmp_path, 1000).get("another") is None


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    DiskCache(tmp_path / "deep" / "cache", 1000)
    assert not (tmp_path / "deep").exists()


def test_a_key_has_one_value(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    cache.set("key", b"first")
    cache.set("key", b"second, longer")
    assert cache.get("key") == b"second, longer"
    assert (len(cache), cache.size) == (1, len(b"second, longer") + OVERHEAD)


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 3 * (100 + OVERHEAD))
    for key in "abc":
        cache.set(key, key.encode() * 100)
    assert cache.get("a") is not None
    cache.set("d", b"d" * 100)
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    cache.set("large", b"l" * 200)
    assert [key for key in ("a", "c", "d", "large") if cache.get(key) is not None] == ["d", "large"]
    assert len(data_files(tmp_path)) == len(cache) == 2


def test_more_than_the_limit_is_not_put_in_and_evicts_nothing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 100)
    cache.set("small", b"s")
    cache.set("large", b"l" * 100)
    assert cache.get("small") == b"s"
    assert cache.get("large") is None


def test_a_limit_of_zero_holds_nothing_and_a_negative_one_is_refused(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 0)
    cache.set("key", b"")
    assert cache.get("key") is None
    with pytest.raises(ValueError, match="`cache_size_limit` must be greater than or equal to zero."):  # noqa: RUF043
        DiskCache(tmp_path, -1)


def test_forgetting_one_and_all(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    for key in "abc":
        cache.set(key, b"x")
    cache.delete("a")
    cache.delete("not there")
    assert (cache.get("a"), cache.get("b")) == (None, b"x")
    cache.clear()
    assert (len(cache), cache.size, data_files(tmp_path)) == (0, 0, [])


@pytest.mark.parametrize("damage", [b"", b"\x01", b"another file altogether"])
def test_damaged_bytes_are_told_and_can_be_replaced(tmp_path: Path, damage: bytes) -> None:
    cache = DiskCache(tmp_path, 1000)
    cache.set("key", b"data")
    (file,) = data_files(tmp_path)
    file.write_bytes(damage)
    with pytest.raises(CorruptedEntry):
        cache.get("key")
    cache.delete("key")
    assert cache.get("key") is None
    cache.set("key", b"data")
    assert cache.get("key") == b"data"


def test_a_damaged_index_is_begun_anew(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    cache.set("old", b"data")
    (tmp_path / "index.sqlite3").write_bytes(b"no database, but long enough to be taken for one" * 50)
    with pytest.warns(UserWarning, match="local cache at .* could not be written"):
        cache.set("key", b"data")
    cache.set("key", b"data")
    assert (cache.get("key"), cache.get("old"), len(cache)) == (b"data", None, 1)


def test_a_file_whose_writer_died_is_taken_in(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    cache.set("key", b"data")
    with sqlite3.connect(tmp_path / "index.sqlite3") as index:
        index.execute("delete from entry")
    index.close()
    assert cache.get("key") == b"data"
    assert (len(cache), cache.size) == (1, 4 + OVERHEAD)


def test_a_folder_that_cannot_be_made_only_warns(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache", 1000)
    with pytest.warns(UserWarning, match="could not be written"):
        cache.set("key", b"data")
    with pytest.warns(UserWarning, match="could not be read"):
        assert cache.get("key") is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 60)), max_size=25))
def test_never_over_the_limit_and_always_the_last_value(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = DiskCache(folder, 100)
    last: dict[str, bytes] = {}
    for key, size in puts:
        data = os.urandom(size)
        cache.set(key, data)
        last[key] = data
        assert cache.get(key) == data
        on_disk = [file.stat().st_size for file in data_files(folder)]
        assert cache.size == sum(on_disk) <= 100
        assert len(cache) == len(on_disk)
    for key, data in last.items():
        assert cache.get(key) in (None, data)


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1_000_000)

    def work(n: int) -> bool:
        cache.set(f"{n % 7}", f"{n % 7}".encode() * 50)
        return cache.get(f"{n % 7}") == f"{n % 7}".encode() * 50

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(100)))
    assert len(cache) == 7


def test_what_is_removed_while_it_is_read_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, other = DiskCache(tmp_path, 1000), DiskCache(tmp_path, 1000)
    cache.set("key", b"data")
    read = Path.read_bytes

    def read_and_remove(path: Path) -> bytes:
        content = read(path)
        other.delete("key")
        return content

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_and_remove)
        assert cache.get("key") == b"data"
    assert (cache.size, len(cache), data_files(tmp_path)) == (0, 0, [])


def _churn(folder: Path, seed: int, limit: int) -> None:
    warnings.simplefilter("error")
    cache = DiskCache(folder, limit)
    for n in range(150):
        key = str((seed * 31 + n * 7) % 40)
        cache.set(key, key.encode() * 100)
        found = cache.get(str((n * 13) % 40))
        if found not in (None, str((n * 13) % 40).encode() * 100):
            raise SystemExit(2)


def test_processes_share_a_folder(tmp_path: Path) -> None:
    limit = 3000
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_churn, args=(tmp_path, seed, limit)) for seed in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(240)
    assert [child.exitcode for child in children] == [0, 0, 0]
    cache = DiskCache(tmp_path, limit)
    assert cache.size == sum(file.stat().st_size for file in data_files(tmp_path)) <= limit
    assert not list(tmp_path.glob("*.part"))
