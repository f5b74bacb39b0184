from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import protocol_dags
from alchemiscale_prefect.chemistry.allowed_modules import DEFAULT_PREFIXES, AllowedModules
from alchemiscale_prefect.chemistry.base import ProtocolDAG, ProtocolUnitResult

ALLOWED = AllowedModules((*DEFAULT_PREFIXES, "tests"))


@pytest.fixture
def allowed() -> AllowedModules:
    return ALLOWED


@pytest.fixture
def run_dag(tmp_path: Path) -> Callable[..., list[ProtocolUnitResult]]:
    """Run a ProtocolDAG in this thread with up to `tries` tries per unit; give every result, in order."""

    def run(dag: ProtocolDAG, tries: int = 1, **directories: Any) -> list[ProtocolUnitResult]:
        finished: dict[str, ProtocolUnitResult] = {}
        results = []
        for node in protocol_dags.units(dag):
            for _ in range(tries):
                result = protocol_dags.execute_unit(node, finished, shared=tmp_path, scratch=tmp_path, **directories)
                results.append(result)
                if result.ok():
                    finished[node.key] = result
                    break
            else:
                break
        return results

    return run
