"""Directories of a run: never mixed between tries, found again by a later attempt, removed at the end."""

from pathlib import Path

from alchemiscale_prefect.execution.workspace import Workspace


def test_a_later_attempt_finds_the_shared_directory_by_its_id(tmp_path: Path) -> None:
    first = Workspace.new(tmp_path / "shared", tmp_path / "scratch", "Task-1", 1)
    first.create()
    written = first.unit("unit-a", 1).shared / "positions"
    written.write_text("x")

    second = Workspace.at(tmp_path / "shared", tmp_path / "scratch", "Task-1", 2, first.shared_id)
    assert second.exists()
    assert written.read_text() == "x"
    assert not Workspace.at(tmp_path / "other", tmp_path / "scratch", "Task-1", 2, first.shared_id).exists()


def test_tries_never_share_a_directory(tmp_path: Path) -> None:
    spaces = [Workspace.at(tmp_path / "shared", tmp_path / "scratch", "Task-1", n, "id") for n in (1, 2)]
    made = [space.unit("unit-a", number) for space in spaces for number in (1, 2)]
    assert len({directories.shared for directories in made}) == 4
    assert len({directories.scratch for directories in made}) == 4


def test_two_processes_on_one_attempt_never_meet(tmp_path: Path) -> None:
    first, second = (Workspace.at(tmp_path / "shared", tmp_path / "scratch", "Task-1", 1, "id") for _ in range(2))
    mine, others = first.unit("unit-a", 1), second.unit("unit-a", 1)
    assert mine.shared != others.shared
    first.remove_scratch()
    assert others.scratch.is_dir()


def test_a_new_dag_clears_what_the_former_left(tmp_path: Path) -> None:
    first = Workspace.new(tmp_path / "shared", tmp_path / "scratch", "Task-1", 1)
    first.create()
    second = Workspace.new(tmp_path / "shared", tmp_path / "scratch", "Task-1", 2)
    second.create()
    assert not first.exists()
    assert second.exists()


def test_nothing_is_left_of_a_finished_task(tmp_path: Path) -> None:
    space = Workspace.new(tmp_path / "shared", tmp_path / "scratch", "Task-1", 1)
    space.create()
    directories = space.unit("unit-a", 1)
    directories.remove_scratch()
    assert directories.shared.is_dir()
    assert not directories.scratch.exists()
    space.remove()
    assert [path for base in ("shared", "scratch") for path in (tmp_path / base).rglob("*")] == []


def test_the_end_of_an_attempt_leaves_the_next_one_its_files(tmp_path: Path) -> None:
    first, second = (Workspace.new(tmp_path / "shared", tmp_path / "scratch", "Task-1", n) for n in (1, 2))
    second.create()
    written = second.unit("unit-a", 1).shared / "positions"
    written.write_text("x")
    first.remove()
    assert written.read_text() == "x"
