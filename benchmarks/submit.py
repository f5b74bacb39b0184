"""``python -m benchmarks.submit``: how long a network takes to the API and back, over real HTTP.

Beside it stands what cannot be avoided, measured in the same rounds: encoding the same keyed dicts as JSON and putting
the bytes into a plain table of the same Postgres with COPY. The goal is to stay within three times of that.

Each round submits to a fresh scope, so that every object is stored anew. Medians are shown.
"""

import argparse
import gzip
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.protocols.generated import generated_network
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.wire import paths
from benchmarks.api_process import ApiProcess, api_process

GOAL = 3.0
DATA = Path(os.environ.get("ALCHEMISCALE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
STORED = "jacs_set_tyk2_rhtp"
EDGES = (100, 1000)

Chain = list[list[Any]]


@dataclass
class Subject:
    """A network to send, and the seconds that each step took in each round."""

    name: str
    chain: Chain
    gufe_version: str | None
    network: AlchemicalNetwork | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its JSON text."""
        return len(encoded(self.chain))

    def time(self, step: str, action: Callable[[], Any]) -> Any:
        """Do a step and note how long it took."""
        begin = time.perf_counter()
        value = action()
        self.seconds.setdefault(step, []).append(time.perf_counter() - begin)
        return value

    def median(self, step: str) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds[step])


def encoded(value: Any) -> bytes:
    """JSON text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# --- what is measured -----------------------------------------------------------------------------------------------


def bare_write(connection: psycopg.Connection, chain: Chain) -> None:
    """The floor: each keyed dict encoded once, and one COPY."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("create table bare (key text primary key, content text)")
        with cursor.copy("copy bare (key, content) from stdin (format binary)") as copy:
            copy.set_types(["text", "text"])
            for key, content in chain:
                copy.write_row((key, encoded(content).decode()))


def bare_read(connection: psycopg.Connection) -> list[Any]:
    """The floor of the way back: one COPY, and each keyed dict decoded once."""
    with connection.cursor() as cursor, cursor.copy("copy bare to stdout (format binary)") as copy:
        copy.set_types(["text", "text"])
        return [[key, json.loads(content)] for key, content in copy.rows()]


def submit(transport: Transport, subject: Subject, scope: Scope, compress: bool) -> ScopedKey:
    """What `create_network` does, from the keyed chain on."""
    document = {
        "network": subject.chain,
        "scope": scope.to_dict(),
        "state": "active",
        "gufe_version": subject.gufe_version,
    }
    return ScopedKey.from_dict(transport.request("POST", paths.NETWORKS, json=document, compress=compress).json())


def fetch(transport: Transport, key: ScopedKey, compress: bool) -> Any:
    """What `get_network` does, down to the keyed chain."""
    encoding = {"Accept-Encoding": "gzip" if compress else "identity"}
    return transport.request("GET", paths.fill(paths.NETWORK, network=key), headers=encoding).json()


def measure_round(subject: Subject, n: int, server: ApiProcess, transport: Transport) -> None:
    """One round of every step, each for a scope of its own."""
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        subject.time("bare write", lambda: bare_write(connection, subject.chain))
        assert len(subject.time("bare read", lambda: bare_read(connection))) == len(subject.chain)
        connection.execute("drop table bare")
    for compress in (True, False):
        scope = Scope("benchmark", _name(subject), f"{'gzip' if compress else 'plain'}_{n}")
        suffix = " gzip" if compress else " plain"
        key = subject.time("submit" + suffix, lambda: submit(transport, subject, scope, compress))  # noqa: B023
        found = subject.time("fetch" + suffix, lambda: fetch(transport, key, compress))  # noqa: B023
        assert found == subject.chain, f"{subject.name} came back otherwise than it was sent"
        subject.time("submit again" + suffix, lambda: submit(transport, subject, scope, compress))  # noqa: B023
    if subject.network is not None:
        measure_sdk(subject, Scope("benchmark", _name(subject), f"sdk_{n}"), server)


def measure_sdk(subject: Subject, scope: Scope, server: ApiProcess) -> None:
    """The client's own calls, from gufe objects to gufe objects."""
    assert subject.network is not None
    with AlchemiscaleClient(server.url, server.identifier, server.key, use_local_cache=False) as client:
        client.get_info()
        subject.time("to JSON", lambda: keyed_chains.to_json(subject.network))
        key = subject.time("create_network", lambda: client.create_network(subject.network, scope))
        found = subject.time("get_network", lambda: client.get_network(key))
        assert found == subject.network


# --- what is sent -----------------------------------------------------------------------------------------------------


def stored_subject() -> Subject | None:
    """The real network, as it lies in the test data; ``None``, with a line that says so, where it does not."""
    file = DATA / "networks" / f"{STORED}.json.gz"
    if not file.is_file():
        print(f"{STORED} is left out: {file} is not there; set ALCHEMISCALE_TEST_DATA")
        return None
    chain: Chain = json.loads(gzip.decompress(file.read_bytes()))
    return Subject(STORED, chain, None)


def generated_subject(n_edges: int) -> Subject:
    """A network of harmonic wells."""
    network = generated_network(n_edges, name=f"generated_{n_edges}")
    return Subject(f"generated, {n_edges:,} edges", json.loads(keyed_chains.to_json(network)), GUFE_VERSION, network)


def _name(subject: Subject) -> str:
    return "".join(character if character.isalnum() else "_" for character in subject.name)


# --- what is shown ----------------------------------------------------------------------------------------------------


def wire_table(subjects: Iterable[Subject]) -> Table:
    """The way over the wire, beside the floor."""
    table = Table(title="Keyed chain to the API and back; medians in ms, and times the floor (goal: 3)")
    for name in (
        "network",
        "objects",
        "kB",
        "body",
        "encode + COPY",
        "submit",
        "×",
        "fetch",
        "×",
        "again",
        "COPY + decode",
    ):
        table.add_column(name, justify="left" if name in ("network", "body") else "right")
    for subject in subjects:
        for body in ("gzip", "plain"):
            floor = subject.median("bare write")
            submitted, fetched = subject.median(f"submit {body}"), subject.median(f"fetch {body}")
            table.add_row(
                subject.name,
                f"{len(subject.chain):,}",
                f"{subject.size / 1000:,.0f}",
                body,
                *(_ms(floor), _ms(submitted), _ratio(submitted / floor), _ms(fetched), _ratio(fetched / floor)),
                *(_ms(subject.median(f"submit again {body}")), _ms(subject.median("bare read"))),
            )
    return table


def sdk_table(subjects: Iterable[Subject]) -> Table:
    """The client's calls: what gufe needs comes on top."""
    table = Table(title=f"The client's calls with gufe {GUFE_VERSION} objects; medians in ms")
    for name in ("network", "gufe to JSON", "create_network", "get_network"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for subject in subjects:
        if subject.network is not None:
            steps = ("to JSON", "create_network", "get_network")
            table.add_row(subject.name, *(_ms(subject.median(step)) for step in steps))
    return table


def scaling(small: Subject, large: Subject) -> str:
    """How the times grow with the number of objects; 1 is linear."""
    growth = len(large.chain) / len(small.chain)
    steps = ("submit gzip", "fetch gzip", "create_network", "get_network")
    factors = ", ".join(f"{step} {large.median(step) / small.median(step) / growth:.2f}" for step in steps)
    return f"From {small.name} to {large.name}: {growth:.1f} times the objects; time per object grows by: {factors}."


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def _ratio(value: float) -> str:
    return f"[{'green' if value <= GOAL else 'red'}]{value:.2f}[/]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    generated = [generated_subject(n_edges) for n_edges in EDGES]
    stored = stored_subject()
    subjects = [*([stored] if stored else []), *generated]
    with api_process() as server, closing(Transport(server.url, server.identifier, server.key)) as transport:
        for subject in subjects:
            measure_round(subject, 0, server, transport)
            subject.seconds.clear()  # the first round warms everything up
            for n in range(1, rounds + 1):
                measure_round(subject, n, server, transport)
    console = Console(width=max(Console().width, 140))
    console.print(wire_table(subjects))
    console.print(sdk_table(subjects))
    console.print(scaling(generated[0], generated[-1]))


if __name__ == "__main__":
    main()
