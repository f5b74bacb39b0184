"""Run a Transformation here and now: each unit in order, in one process."""

from pathlib import Path
from tempfile import TemporaryDirectory

from alchemiscale_prefect.chemistry import protocol_dags
from alchemiscale_prefect.chemistry.base import NonTransformation, ProtocolDAGResult, ProtocolUnitResult, Transformation


def run(
    transformation: Transformation | NonTransformation, *, extends: ProtocolDAGResult | None = None
) -> ProtocolDAGResult:
    """The result of one run; a unit that fails raises its traceback."""
    dag = protocol_dags.create(transformation, extends=extends, name="test")
    finished: dict[str, ProtocolUnitResult] = {}
    with TemporaryDirectory() as directory:
        for node in protocol_dags.units(dag):
            shared, scratch = Path(directory, "shared"), Path(directory, f"scratch-{len(finished)}")
            shared.mkdir(exist_ok=True)
            scratch.mkdir()
            result = protocol_dags.execute_unit(node, finished, shared=shared, scratch=scratch)
            if not protocol_dags.is_ok(result):
                raise AssertionError(protocol_dags.unit_traceback(result).traceback)
            finished[node.key] = result
    return protocol_dags.assemble(dag, list(finished.values()))
