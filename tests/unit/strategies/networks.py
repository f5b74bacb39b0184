"""Small networks by the names of their ChemicalSystems, and results for them."""

from collections.abc import Iterable, Mapping

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeKey, NonTransformation, Transformation
from alchemiscale_prefect.chemistry.summaries import SummarizedResult
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system

PROTOCOL = HarmonicProtocol(HarmonicSettings())
Weights = Mapping[str, float | None]


def network(*edges: str, alone: Iterable[str] = ()) -> AlchemicalNetwork:
    """``"ab"`` is a Transformation from a to b, ``"a"`` a NonTransformation; one that stands twice is there twice."""
    systems = {name: harmonic_system(100.0, name=name) for name in sorted({*"".join(edges), *alone})}
    made = []
    for number, edge in enumerate(edges):
        name = f"{edge}{edges[:number].count(edge) or ''}"
        if len(edge) == 1:
            made.append(NonTransformation(system=systems[edge], protocol=PROTOCOL, name=name))
        else:
            made.append(Transformation(systems[edge[0]], systems[edge[1]], PROTOCOL, name=name))
    return AlchemicalNetwork(edges=made, nodes=list(systems.values()), name="small")


def results(of: AlchemicalNetwork, by_name: Mapping[str, ResultSummary | int]) -> dict[GufeKey, SummarizedResult]:
    """Results by the names of edges: a summary, or how many there are (all 0 ± 1 kJ/mol)."""
    given = {}
    for edge in of.edges:
        found = by_name.get(edge.name, 0)
        summary = repeats(*[0.0] * found) if isinstance(found, int) else found
        if summary.n:
            given[edge.key] = SummarizedResult.of(summary)
    return given


def repeats(*values: float, error: float | None = 1.0, seconds: float | None = None) -> ResultSummary:
    """A summary of results in kJ/mol."""
    return sum((ResultSummary.of(value, error, seconds) for value in values), ResultSummary())


def named(of: AlchemicalNetwork, weights: Mapping[GufeKey, float | None]) -> dict[str, float | None]:
    """Weights by the names of the edges; every edge must have one."""
    assert {str(key) for key in weights} == {str(edge.key) for edge in of.edges}
    by_key = {str(key): weight for key, weight in weights.items()}
    return {edge.name: by_key[str(edge.key)] for edge in sorted(of.edges, key=lambda edge: edge.name)}
