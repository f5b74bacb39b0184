"""schemathesis: whatever the API's own description allows, and more, makes no server error and no undescribed answer.

``ALCHEMISCALE_TEST_EXAMPLES`` is how many requests each route gets, for a longer look.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission
from alchemiscale_prefect.domain.scopes import Scope
from tests.integration.server.every_request import OWNER, Home, make_home

FILE = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
EXAMPLES = int(os.environ.get("ALCHEMISCALE_TEST_EXAMPLES", "3"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def listed(node: Any) -> Any:
    """The description with lists for tuples: schemathesis 4.32 checks answers against tuples of a former draft."""
    if isinstance(node, list):
        return [listed(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: listed(value) for name, value in node.items() if name != "prefixItems"}
    return {**kept, "items": {"anyOf": listed(node["prefixItems"])}} if "prefixItems" in node else kept


SCHEMA = schemathesis.openapi.from_dict(listed(json.loads(FILE.read_text())))
# so many Tasks at once take long, and find nothing that few do not
MOST = 20


def operations(kind: IdentityKind | None) -> list[Any]:
    """The routes of one kind of identity; ``None``: those that want no token."""
    every = [result.ok() for result in SCHEMA.get_all_operations()]
    wanted = [] if kind is None else [kind.value]
    return [one for one in every if [k for s in one.definition.raw.get("security", ()) for k in s] == wanted]


@pytest.fixture
def home(system, cheap_hashes):
    return make_home(system.database, system.objects, Scope("org", "campaign", "project"))


@pytest.mark.parametrize("kind", [*IdentityKind, None])
def test_no_request_makes_a_server_error_or_an_answer_that_is_not_described(kind, log_in, api_url, home):
    headers = {}
    if kind is not None:
        grants = [] if kind is IdentityKind.admin else [Grant(Scope("org"), Permission.domain)]
        headers = {"Authorization": log_in("someone", grants, kind).headers["authorization"]}
    found = operations(kind)
    assert len(found) >= 4
    with requests.Session() as session:
        for operation in found:
            explore(operation, session, api_url, headers, home)


def explore(operation: Any, session: requests.Session, url: str, headers: dict[str, str], home: Home) -> None:
    """Send it so many requests; half of what they name is there."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), data=st.data())
    def asked(case: Any, data: st.DataObject) -> None:
        for name, value in (case.path_parameters or {}).items():
            real = {"n": "1", "kind": "user", "unit_result": "ProtocolUnitResult-1"}.get(name, home.values.get(name))
            if real is not None and data.draw(st.booleans()):
                case.path_parameters[name] = quote(real, safe="")
            else:
                case.path_parameters[name] = value
        if isinstance(case.body, dict):
            fill(case.body, home, data)
        if case.headers is not None and "alchemiscale-lease-owner" in case.headers:
            case.headers["alchemiscale-lease-owner"] = OWNER
        answer = case.call(base_url=url, session=session, headers=headers, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    asked()


def fill(body: dict[str, Any], home: Home, data: st.DataObject) -> None:
    """Put names of what is there into a body."""
    if isinstance(body.get("count"), int):
        body["count"] = min(body["count"], MOST)
    for name in ("tasks", "networks", "transformations", "network", "scope", "identifier", "patterns"):
        if name in body and isinstance(body[name], type(home.values[name])) and data.draw(st.booleans()):
            body[name] = home.values[name]
