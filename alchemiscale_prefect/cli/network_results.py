"""``alchemiscale-prefect network results`` and ``archive``: what a network found, into a terminal or a file."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alchemiscale_prefect.cli.connection import Network, connected, known_network, there_are
from alchemiscale_prefect.cli.output import Json, answer, line, plain, printable, table
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.estimates import combine

if TYPE_CHECKING:
    from alchemiscale_prefect.domain.keys import ScopedKey
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient

_COLUMNS = ("transformation", "name", "state_a", "state_b", "repeats", "estimate", "uncertainty", "units")


def results(
    network: Network,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", dir_okay=False, help="Write them to this .csv or .json file.")
    ] = None,
    raw: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Instead: fetch every ProtocolDAGResult into this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The estimates of a network, by Transformation: of several repeats their mean and standard deviation."""
    if out is not None and raw is not None:
        raise typer.BadParameter("give --out for estimates or --raw for ProtocolDAGResults")
    if out is not None and out.suffix not in (".csv", ".json"):
        raise typer.BadParameter(f"{out} must end with .csv or .json", param_hint="--out")
    with connected() as client:
        key = known_network(client, network)
        if raw is not None:
            _fetch(client, key, raw, as_json)
            return
        found = [_combined(item.model_dump()) for item in client.get_network_estimates(key)]
    document = {"network": key, "transformations": found}
    if out is not None:
        _write(out, document, found)
        written = {"network": key, "file": out, "transformations": len(found)}
        answer(written, as_json, lambda: line(f"{len(found)} Transformations in {out}"))
        return
    answer(document, as_json, lambda: _show(found))


def archive(
    network: Network,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", dir_okay=False, help="The file; compressed if it ends with .gz or .zst."),
    ],
    as_json: Json = False,
) -> None:
    """Write a network with all its results to one file, as gufe's AlchemicalArchive."""
    with connected() as client:
        key = known_network(client, network)
        (found,) = there_are([key], [client.get_network_archive(key, visualize=False)])
    from alchemiscale_prefect.chemistry import documents

    _into(out, lambda: documents.write(found, out))
    size = out.stat().st_size
    answer({"network": key, "file": out, "bytes": size}, as_json, lambda: line(f"{size} bytes in {out}"))


def _combined(found: dict[str, Any]) -> dict[str, Any]:
    together = combine(found["estimates"], found["uncertainties"])
    return {
        **found,
        "repeats": together.repeats,
        "estimate": together.estimate,
        "uncertainty": together.uncertainty,
    }


def _show(found: Sequence[Mapping[str, Any]]) -> None:
    table(
        ("Transformation", "repeats", "estimate", "±", "units"),
        [
            (
                item["name"] or item["transformation"],
                item["repeats"],
                _rounded(item["estimate"]),
                _rounded(item["uncertainty"]),
                (item["units"] or "").replace("kilojoule_per_mole", "kJ/mol") or None,
            )
            for item in found
        ],
        empty="no Transformations",
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _write(out: Path, document: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
    def write() -> None:
        with out.open("w", newline="", encoding="utf-8") as file:
            if out.suffix == ".json":
                json.dump(plain(document), file, indent=2, ensure_ascii=False)
                file.write("\n")
                return
            writer = csv.DictWriter(file, (*_COLUMNS, "estimates", "uncertainties"))
            writer.writeheader()
            for item in found:
                several = {name: ";".join(map(_number, item[name])) for name in ("estimates", "uncertainties")}
                writer.writerow({**{name: _csv_cell(item[name]) for name in _COLUMNS}, **several})

    _into(out, write)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _csv_cell(value: object) -> object:
    # a spreadsheet takes what begins so for a formula, and names are chosen by users
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _fetch(client: "AlchemiscaleClient", key: "ScopedKey", folder: Path, as_json: bool) -> None:
    from alchemiscale_prefect.chemistry import documents
    from alchemiscale_prefect.sdk.results import ResultFormat

    written: list[Path] = []
    for transformation in client.get_network_transformations(key):
        # one Transformation's at a time: a network's may not fit into memory
        found: Any = client.get_transformation_results(
            transformation, return_as=ResultFormat.PROTOCOL_DAG_RESULTS, visualize=False
        )
        for result in found:
            file = folder / str(transformation.gufe_key) / f"{result.key}.json.zst"
            _into(file, lambda result=result, file=file: documents.write(result, file))
            written.append(file)
    document = {"network": key, "folder": folder, "files": written}
    answer(document, as_json, lambda: line(f"{len(written)} ProtocolDAGResults in {printable(str(folder))}"))


def _into(file: Path, write: Any) -> None:
    """Write a file of the user's choice."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}", field="out") from error
