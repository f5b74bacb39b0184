"""The floor of `benchmarks.api`: FastAPI and psycopg with nothing around them, in a process of their own.

``python -m benchmarks.bare_api PORT DATABASE_URL RECORDED`` serves an empty route, and for each recorded method one
that sends the same statements in one transaction, reads every row, and gives the recorded answer.
"""

import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from fastapi import Body, FastAPI

EMPTY = "/empty"
METHOD = "/method/{name}"


def create_app(database_url: str, recorded: dict[str, Any]) -> FastAPI:
    """The app.

    Parameters
    ----------
    recorded
        For each method its ``statements``, pairs of SQL and parameters, and its ``answer``.
    """
    app = FastAPI()
    local = threading.local()

    def run(name: str) -> Any:
        if not hasattr(local, "connection"):
            local.connection = psycopg.connect(database_url)
        with local.connection.transaction(), local.connection.cursor() as cursor:
            for statement, parameters in recorded[name]["statements"]:
                cursor.execute(statement, parameters)
                if cursor.description:
                    cursor.fetchall()
        return recorded[name]["answer"]

    @app.get(EMPTY)
    async def empty() -> dict[str, int]:
        return {}

    @app.get(METHOD)
    def get(name: str) -> Any:
        return run(name)

    @app.post(METHOD)
    def post(name: str, body: Any = Body()) -> Any:  # noqa: B008  FastAPI's way
        del body
        return run(name)

    return app


def main() -> None:
    """Serve until terminated."""
    port, database_url, recorded = sys.argv[1:]
    app = create_app(database_url, pickle.loads(Path(recorded).read_bytes()))
    uvicorn.run(app, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
