"""The status of a Task is changed in one place."""

import re

from tests.architecture.project import PACKAGE

_CHANGES = re.compile(r"update\s+task\s+(?:\w+\s+)?set\b(?P<columns>[^;]*?)(?:\bfrom\b|\bwhere\b|$)", re.DOTALL)


def _changes_status(source: str) -> bool:
    return any(re.search(r"\bstatus\s*=", found["columns"]) for found in _CHANGES.finditer(source))


def test_what_changes_a_status_is_recognised():
    assert _changes_status("update task set status = 'error' where id = 1")
    assert _changes_status("update task t\n set losses = 0, status = :status from was where t.id = was.id")
    assert not _changes_status("update task set priority = 1 where status = 'waiting'")


def test_one_file_changes_the_status_of_tasks():
    files = [path for path in (PACKAGE / "store").rglob("*.py") if "migrations" not in path.parts]
    found = [path.relative_to(PACKAGE).as_posix() for path in files if _changes_status(path.read_text())]
    assert found == ["store/queries/transitions.py"]
