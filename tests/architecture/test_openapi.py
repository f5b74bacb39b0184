"""The description of the API that lies in the repository is that of the app."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.architecture.project import ROOT

FILE = ROOT / "docs" / "reference" / "openapi.json"
ANEW = "a route or a body has changed: `make openapi` writes docs/reference/openapi.json anew"


@pytest.fixture(scope="module")
def written() -> str:
    """What the command writes, in a process of its own as it is used."""
    command = [sys.executable, "-m", "alchemiscale_prefect.api.openapi"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_file_is_what_the_app_says_of_itself(written: str) -> None:
    assert json.loads(FILE.read_text()) == json.loads(written), ANEW
    assert FILE.read_text() == written, ANEW


def test_every_refusal_is_described_as_it_is(written: str) -> None:
    document: dict[str, Any] = json.loads(written)
    assert set(document["components"]["securitySchemes"]) == {"user", "compute", "admin"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            refusals = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
            if operation.get("security"):
                assert {"401", "503"} <= set(refusals), (method, path)
            assert bool(refusals) is (path != "/ping"), (method, path)
            for answer in refusals.values():
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (method, path)


def test_every_answer_has_a_type(written: str) -> None:
    for path, operations in json.loads(written)["paths"].items():
        for method, operation in operations.items():
            good = {status: answer for status, answer in operation["responses"].items() if int(status) < 300}
            assert len(good) == 1, (method, path)
            assert ("content" in next(iter(good.values()))) is ("204" not in good), (method, path)
