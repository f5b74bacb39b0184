"""How far a running unit says that it is."""

from pathlib import Path

import pytest

from alchemiscale_prefect.chemistry.base import Context
from alchemiscale_prefect.chemistry.progress import PROGRESS_FILE, read, teller, write


@pytest.mark.parametrize(
    ("written", "fraction"),
    [("0.25", 0.25), ("1", 1.0), (" 0.5\n", 0.5), ("1.5", 1.0), ("-3", 0.0), ("", None), ("nan", None), ("half", None)],
)
@pytest.mark.parametrize("where", ["scratch", "shared"])
def test_a_number_in_a_file_is_read(tmp_path: Path, where: str, written: str, fraction: float | None) -> None:
    directories = [tmp_path / "scratch", tmp_path / "shared"]
    assert read(*directories) is None
    for directory in directories:
        directory.mkdir()
    assert read(*directories) is None
    (tmp_path / where / PROGRESS_FILE).write_text(written)
    assert read(*directories) == fraction


def test_the_real_time_analysis_of_openmmtools_is_read(tmp_path: Path) -> None:
    path = tmp_path / "simulation_real_time_analysis.yaml"
    entry = "- iteration: {0}\n  mbar_analysis:\n    free_energy_in_kT: -1.0\n  percent_complete: {0}.0\n"
    path.write_text("".join(entry.format(percent) for percent in range(60)))
    assert read(tmp_path) == 0.59
    path.write_text("- iteration: 0\n")
    assert read(tmp_path) is None


def test_what_a_unit_tells_is_written_now_and_then(tmp_path: Path) -> None:
    context = Context(shared=tmp_path / "shared", scratch=tmp_path / "scratch")
    context.scratch.mkdir()
    tell = teller(context, every_seconds=3600.0)
    tell(0.1)
    tell(0.2)
    assert read(tmp_path / "scratch") == 0.1
    write(context, 0.3)
    assert read(tmp_path / "scratch") == 0.3
    write(Context(shared=tmp_path, scratch=tmp_path / "gone"), 0.4)  # no harm
