"""Prefect's server, asked as its own clients do: once more while its database is locked, as SQLite often is."""

from typing import Any

import httpx

from alchemiscale_prefect.local.stack import LocalStack
from tests.waiting import wait_for


def ask(stack: LocalStack, method: str, path: str, **body: Any) -> Any:
    """What it answers; ``None`` without content."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        url = f"{stack.config.prefect_api_url}{path}"
        answers.append(httpx.request(method, url, json=body or None, timeout=30.0, verify=False))
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    wait_for(answered, f"Prefect to take {method} {path}", 120.0)
    answers[-1].raise_for_status()
    return answers[-1].json() if answers[-1].content else None
