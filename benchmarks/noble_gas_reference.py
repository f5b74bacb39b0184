"""``python -m benchmarks.noble_gas_reference``: the reference values of the demo network, computed anew.

Long runs of argon turning into each other species, several seeds each. It prints the table that
``alchemiscale_prefect.protocols.demo.RELATIVE_TO_ARGON`` holds, and with ``--insertion`` how the insertion of argon
compares with the equation of state. The defaults take about six minutes of one core.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from alchemiscale_prefect.chemistry import protocol_dags
from alchemiscale_prefect.chemistry.base import ProtocolDAGResult, ProtocolUnitResult, Transformation, unit
from alchemiscale_prefect.protocols.demo import reference_values, transformation_name
from alchemiscale_prefect.protocols.noble_gas import NobleGasProtocol, NobleGasSettings, noble_gas_system

SPECIES = ("neon", "krypton", "xenon", "methane")


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="runs of each Transformation")
    parser.add_argument("--production", type=float, default=40.0, help="picoseconds of each window")
    parser.add_argument("--insertion", action="store_true", help="only the insertion of argon, for comparison")
    arguments = parser.parse_args()
    edges = [(None, "argon")] if arguments.insertion else [("argon", species) for species in SPECIES]
    for before, after in edges:
        value, error = _free_energy(before, after, arguments.seeds, arguments.production)
        if arguments.insertion:
            expected, _ = reference_values()[transformation_name(before, after)]
            print(f"insertion of argon {value:.3f} +- {error:.3f} kJ/mol, equation of state {expected:.3f}")
        else:
            print(f'    "{after}": ({value:.3f}, {error:.3f}),', flush=True)


def _free_energy(before: str | None, after: str, seeds: int, production: float) -> tuple[float, float]:
    results, stateA, stateB = [], noble_gas_system(before), noble_gas_system(after)
    for seed in range(seeds):
        settings = NobleGasSettings(seed=seed, production_length=production * unit.picosecond)
        transformation = Transformation(
            stateA=stateA, stateB=stateB, protocol=NobleGasProtocol(settings), name=transformation_name(before, after)
        )
        began = time.process_time()
        results.append(_run(transformation))
        single = transformation.gather(results[-1:])
        print(
            f"# {transformation.name} seed {seed}: {single.get_estimate().m:.3f} +- {single.get_uncertainty().m:.3f}, "
            f"{time.process_time() - began:.0f} s",
            flush=True,
        )
    estimates = [transformation.gather([result]).get_estimate().m for result in results]
    if seeds > 1:
        print(f"# scatter of one run {statistics.stdev(estimates):.3f}")
    gathered = transformation.gather(results)
    return float(gathered.get_estimate().m), float(gathered.get_uncertainty().m)


def _run(transformation: Transformation) -> ProtocolDAGResult:
    dag = protocol_dags.create(transformation, name=transformation.name)
    finished: dict[str, ProtocolUnitResult] = {}
    with tempfile.TemporaryDirectory() as directory:
        for node in protocol_dags.units(dag):
            result = protocol_dags.execute_unit(node, finished, shared=Path(directory), scratch=Path(directory))
            if not protocol_dags.is_ok(result):
                raise RuntimeError(protocol_dags.unit_traceback(result).traceback)
            finished[node.key] = result
    return protocol_dags.assemble(dag, list(finished.values()))


if __name__ == "__main__":
    main()
