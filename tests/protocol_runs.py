"""Run a Transformation in this process, as a worker would."""

from pathlib import Path
from uuid import uuid4

from alchemiscale_prefect.chemistry import protocol_dags
from alchemiscale_prefect.chemistry.base import (
    NonTransformation,
    ProtocolDAGResult,
    ProtocolUnitResult,
    Transformation,
)


def run_transformation(
    transformation: Transformation | NonTransformation, folder: Path, *, extends: ProtocolDAGResult | None = None
) -> ProtocolDAGResult:
    """One ProtocolDAG, each of its units tried once; it ends at the first that fails."""
    dag = protocol_dags.create(transformation, extends=extends, name=f"run-{uuid4().hex}")
    finished: dict[str, ProtocolUnitResult] = {}
    results = []
    for node in protocol_dags.units(dag):
        scratch = folder / node.key
        scratch.mkdir(parents=True)
        result = protocol_dags.execute_unit(node, finished, shared=folder, scratch=scratch)
        results.append(result)
        if not result.ok():
            break
        finished[node.key] = result
    return protocol_dags.assemble(dag, results)
