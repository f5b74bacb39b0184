"""A checkpoint taken up where the shared directory is not: files travel, paths are changed, nothing is mixed."""

import gc
import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.domain.errors import AttemptVoid, NotFound
from alchemiscale_prefect.execution.attempt import Attempt
from alchemiscale_prefect.execution.checkpoints import relocate
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError
from alchemiscale_prefect.settings import ComputeSettings
from alchemiscale_prefect.wire import compute as wire
from tests.protocols import executions, transformation
from tests.relay_protocol import RelayProtocol, RelaySettings
from tests.unit.execution.api import Api, Report, Units


class Relay:
    """Attempts at a Task of six units in a row, each on a host of its own."""

    def __init__(self, api: Api, units: Units, settings: ComputeSettings, folder: Path) -> None:
        self.api, self.units, self.settings, self.folder = api, units, settings, folder
        self.n = 0

    def of(self, **settings: object) -> "Relay":
        """With these settings of the Protocol."""
        self.api.subject = transformation(
            RelayProtocol(RelaySettings(marker_directory=str(self.folder / "markers"), **settings))
        )
        return self

    def base(self, host: str) -> Path:
        return self.folder / host / "shared"

    def run(self, host: str, *, lost_after: int | None = None, **settings: object) -> str | None:
        """The next attempt; its status, or ``None`` if it was lost after it stored so many more units."""
        gc.collect()  # gufe gives a result that is alive for one that is read
        self.n += 1
        self.api.stop_after = None if lost_after is None else len(self.api.units) + lost_after
        compute = self.settings.model_copy(update={"shared_basedir": self.base(host), **settings})
        attempt = Attempt(self.api.client(self.n), compute, self.units, Report(), lambda _: None)  # type: ignore[arg-type]
        try:
            return attempt.run().status
        except AttemptVoid:
            return None

    def lose(self, host: str) -> None:
        """Its disk with it."""
        shutil.rmtree(self.base(host))

    def runs(self) -> list[int]:
        """How often each unit ran."""
        counts: Counter[str] = executions(self.folder / "markers")
        return [counts[f"leg-{index}"] for index in range(6)]


@pytest.fixture
def relay(api: Api, units: Units, settings: ComputeSettings, tmp_path: Path) -> Relay:
    return Relay(api, units, settings, tmp_path).of()


@pytest.mark.parametrize("naming", ["path", "text", "through"])
@pytest.mark.parametrize("done", [1, 3, 5])
def test_another_host_goes_on_with_the_unit_that_was_running(relay: Relay, naming: str, done: int) -> None:
    relay.of(naming=naming)
    assert relay.run("one", lost_after=done) is None
    relay.lose("one")
    assert relay.run("two") == "complete"
    assert relay.runs() == [1] * done + [2] + [1] * (5 - done)
    assert not relay.base("one").exists()
    assert list(relay.base("two").rglob("*")) == []


def test_from_host_to_host_and_back(relay: Relay) -> None:
    """The first host has files of its own attempt, and not those of the second's."""
    relay.run("one", lost_after=2)
    relay.run("two", lost_after=2)
    assert relay.run("one") == "complete"
    assert relay.runs() == [1, 1, 2, 1, 2, 1]


def test_files_that_name_their_directory_are_laid_at_the_same_path(relay: Relay) -> None:
    relay.of(naming="file").run("one", lost_after=3)
    relay.lose("one")
    assert relay.run("one") == "complete"
    assert relay.runs() == [1, 1, 1, 2, 1, 1]


def test_files_that_name_their_directory_are_not_taken_up_at_another_path(relay: Relay) -> None:
    relay.of(naming="file").run("one", lost_after=3)
    relay.lose("one")
    assert relay.run("two") == "complete"
    assert relay.runs() == [2, 2, 2, 2, 1, 1]


def test_a_file_system_that_is_mounted_elsewhere_needs_no_copy(relay: Relay) -> None:
    relay.run("one", lost_after=3, checkpoint_files_mb=0)
    assert relay.api.files == {}
    relay.base("one").parent.rename(relay.base("two").parent)
    assert relay.run("two", checkpoint_files_mb=0) == "complete"
    assert relay.runs() == [1, 1, 1, 2, 1, 1]


def test_more_than_the_limit_stays_where_it_is(relay: Relay, caplog: pytest.LogCaptureFixture) -> None:
    relay.of(size=1_000_001)
    with caplog.at_level(logging.WARNING):
        relay.run("one", lost_after=2, checkpoint_files_mb=1)
    assert relay.api.files == {}
    assert "1.0 MB are more than ALCHEMISCALE_COMPUTE_CHECKPOINT_FILES_MB=1" in caplog.text
    relay.run("one", lost_after=1, checkpoint_files_mb=1)
    assert relay.runs() == [1, 1, 2, 1, 0, 0]
    relay.lose("one")
    assert relay.run("two", checkpoint_files_mb=2) == "complete"
    assert relay.runs() == [2, 2, 3, 2, 1, 1]


def test_an_archive_travels_in_parts(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PART_BYTES", 100)
    relay.run("one", lost_after=2)
    parts = next(iter(relay.api.files.values()))
    assert len(parts) > 1
    assert {len(part) for part in parts[:-1]} == {100}
    relay.lose("one")
    assert relay.run("two") == "complete"
    assert relay.runs() == [1, 1, 2, 1, 1, 1]


@pytest.mark.parametrize("damage", ["lost", "cut off", "no archive"])
def test_what_follows_from_damaged_files_runs_again(relay: Relay, damage: str) -> None:
    relay.run("one", lost_after=4)
    relay.lose("one")
    key = list(relay.api.units)[2]
    (data,) = relay.api.files[key]
    relay.api.files[key] = {"cut off": [data[: len(data) // 2]], "no archive": [b"bytes"], "lost": []}[damage]
    if damage == "lost":
        unit, result = relay.api.units[key]
        relay.api.units[key] = unit.model_copy(update={"files": None}), result
    assert relay.run("two") == "complete"
    # also the fourth, whose own files are good, but which was made of the third's
    assert relay.runs() == [1, 1, 2, 2, 2, 1]
    pdr = keyed_chains.decompress(next(iter(relay.api.results.values()))[1])
    assert len(pdr.protocol_unit_results) == 6


def test_what_was_made_of_a_former_result_is_not_taken_up(relay: Relay) -> None:
    """A unit has two results: what came after it is of the first, whose files are gone."""
    relay.run("one", lost_after=4)
    relay.lose("one")
    key = list(relay.api.units)[2]
    unit, result = relay.api.units[key]
    relay.api.units[key] = unit.model_copy(update={"files": None}), result
    relay.run("two", lost_after=1)
    relay.lose("two")
    assert relay.run("three") == "complete"
    # the third for want of its files, so the fourth anew, which, as the fifth, was also running when a host was lost
    assert relay.runs() == [1, 1, 2, 3, 2, 1]


def test_an_api_that_keeps_no_files_costs_no_result(relay: Relay, caplog: pytest.LogCaptureFixture) -> None:
    relay.api.errors["store_files"] = AlchemiscaleClientError("no such path", status_code=404, code=NotFound.code)
    assert relay.run("one") == "complete"
    assert "stay on this host" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected", "whole"),
    [
        ('"/a/Task/id/unit/x"', '"/new b/Task/id/unit/x"', True),
        ('"/a/Task/id"', '"/new b/Task/id"', True),
        ('"x=/a/Task/id,/a/Task/id"', '"x=/new b/Task/id,/new b/Task/id"', True),
        ('"/host/a/Task/id"', '"/host/a/Task/id"', False),
        ('"../Task/id/unit"', '"../Task/id/unit"', False),
        ('"/a/Task/other"', '"/a/Task/other"', True),
    ],
)
def test_paths_are_changed_where_they_are_certain(text: str, expected: str, whole: bool) -> None:
    changed = relocate(text.encode(), Path("/a/Task/id"), Path("/new b/Task/id"))
    assert changed == (expected.encode(), whole)
