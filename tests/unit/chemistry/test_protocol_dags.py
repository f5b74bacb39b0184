import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import ExecutionInterrupt, NonTransformation, ProtocolUnit
from alchemiscale_prefect.domain.errors import InvalidInput
from tests import protocols
from tests.unit.chemistry import odd_units

RunDag = Callable[..., list[Any]]


@pytest.fixture
def dag_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A ProtocolDAG of the units given."""

    def make(*units: ProtocolUnit) -> Any:
        monkeypatch.setattr(odd_units.OddProtocol, "given", list(units))
        edge = protocols.transformation(odd_units.OddProtocol(protocols.FanOutSettings()))
        return protocol_dags.create(edge, name="odd")

    return make


# --- creating ---------------------------------------------------------------------------------------------------


def test_a_dag_knows_its_name_and_its_transformation() -> None:
    edge = protocols.transformation()

    dag = protocol_dags.create(edge, name="Task-1")

    assert dag.name == "Task-1"
    assert dag.transformation_key == edge.key
    assert dag.extends_key is None


def test_a_dag_of_a_non_transformation_is_named_and_labelled_like_any_other(run_dag: RunDag) -> None:
    edge = NonTransformation(
        system=protocols.salt_water(0.1, "salted"), protocol=protocols.FanOutProtocol(protocols.FanOutSettings())
    )

    dag = protocol_dags.create(edge, name="Task-2")

    assert dag.name == "Task-2"
    assert dag.transformation_key == edge.key
    assert protocol_dags.is_ok(protocol_dags.assemble(dag, run_dag(dag)))


def test_an_extension_starts_where_the_result_it_extends_ended(run_dag: RunDag) -> None:
    edge = protocols.transformation(protocols.ExtendingProtocol(protocols.FanOutSettings(n_samples=10)))
    first = protocol_dags.create(edge, name="first")
    pdr = protocol_dags.assemble(first, run_dag(first))

    extension = protocol_dags.create(edge, extends=pdr, name="second")
    (result,) = run_dag(extension)

    assert result.outputs["step"] == 20
    assert extension.extends_key == pdr.key
    assert protocol_dags.assemble(extension, [result]).extends_key == pdr.key


def test_two_dags_of_one_transformation_have_different_units() -> None:
    edge = protocols.transformation()

    one, two = (protocol_dags.create(edge, name="dag") for _ in range(2))

    assert one.key != two.key
    assert not {node.key for node in protocol_dags.units(one)} & {node.key for node in protocol_dags.units(two)}


def test_units_stand_after_what_they_depend_on_and_always_in_the_same_order(allowed: AllowedModules) -> None:
    dag = protocol_dags.create(protocols.transformation(), name="dag")

    nodes = protocol_dags.units(dag)

    assert nodes[0].name == "setup"
    assert {node.name for node in nodes[1:4]} == {"sample 0", "sample 1", "sample 2"}
    assert all(node.dependencies == (nodes[0].key,) for node in nodes[1:4])
    assert nodes[4].qualname == "FanOutAnalysisUnit"
    assert set(nodes[4].dependencies) == {node.key for node in nodes[1:4]}
    assert protocol_dags.units(keyed_chains.decompress(keyed_chains.compress(dag), allowed=allowed)) == nodes


def test_a_unit_that_stands_deep_in_another_s_inputs_is_a_dependency(dag_of: Any, run_dag: RunDag) -> None:
    first = odd_units.EchoUnit(name="first", value=1)
    second = odd_units.EchoUnit(name="second", nested={"a": [{"b": [first]}], "plain": [1, "x"]})

    nodes = protocol_dags.units(dag_of(second, first))

    assert [node.name for node in nodes] == ["first", "second"]
    assert nodes[1].dependencies == (first.key,)
    result = run_dag(dag_of(second, first))[1]
    assert result.ok()
    assert result.outputs["got"]["nested"]["a"][0]["b"][0].source_key == first.key


# --- executing --------------------------------------------------------------------------------------------------


def test_units_exchange_files_and_values(run_dag: RunDag) -> None:
    dag = protocol_dags.create(protocols.transformation(), name="dag")

    pdr = protocol_dags.assemble(dag, run_dag(dag))

    assert protocol_dags.is_ok(pdr)
    last = pdr.protocol_unit_results[-1]
    assert last.outputs["n_samples"] == 3
    # the mean of three draws with the seed of the settings: the same number on both lines of gufe
    assert last.outputs["free_energy"].m_as("kilojoule_per_mole") == pytest.approx(-12.275189803733705, abs=1e-12)


def test_a_result_says_when_it_ran_what_it_wrote_and_of_which_unit_it_is(tmp_path: Path, run_dag: RunDag) -> None:
    for name in ("stdout", "stderr"):
        (tmp_path / name).mkdir()
    dag = protocol_dags.create(protocols.transformation(), name="dag")
    before = datetime.now(UTC)

    result = run_dag(dag, stdout=tmp_path / "stdout", stderr=tmp_path / "stderr")[0]

    start, end = protocol_dags.times(result)
    assert before <= start <= end <= datetime.now(UTC)
    assert start.utcoffset() == end.utcoffset() == UTC.utcoffset(None)
    assert result.stdout == {"setup.log": b"set up\n"}
    assert result.stderr == {}
    assert protocol_dags.source_key(result) == protocol_dags.units(dag)[0].key
    assert protocol_dags.result_key(result) == result.key


def test_a_failure_keeps_what_the_unit_wrote(tmp_path: Path, run_dag: RunDag) -> None:
    (tmp_path / "stderr").mkdir()
    dag = protocol_dags.create(
        protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings())), name="dag"
    )

    failure = run_dag(dag, stderr=tmp_path / "stderr")[-1]

    assert not protocol_dags.is_ok(failure)
    assert failure.stderr == {"engine.log": b"about to fail\n"}
    assert failure.outputs == {}
    start, end = protocol_dags.times(failure)
    assert start <= end


def test_a_dag_whose_last_unit_alone_failed_is_not_ok(run_dag: RunDag) -> None:
    dag = protocol_dags.create(
        protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings(message="NaN in forces"))),
        name="dag",
    )

    results = run_dag(dag)
    pdr = protocol_dags.assemble(dag, results)

    assert [protocol_dags.is_ok(result) for result in results] == [True, False]
    assert not protocol_dags.is_ok(pdr)
    (failure,) = protocol_dags.failures(pdr)
    assert failure.unit_name == "failing"
    assert failure.failure_key == protocol_dags.result_key(results[1])
    assert failure.source_key == protocol_dags.source_key(results[1])
    assert failure.exception == "RuntimeError('NaN in forces')"
    assert "raise RuntimeError(message)" in failure.traceback


def test_a_dag_that_was_not_run_to_its_end_is_not_ok(run_dag: RunDag) -> None:
    dag = protocol_dags.create(protocols.transformation(), name="dag")
    results = run_dag(dag)

    assert not protocol_dags.is_ok(protocol_dags.assemble(dag, []))
    assert not protocol_dags.is_ok(protocol_dags.assemble(dag, results[:-1]))
    assert protocol_dags.is_ok(protocol_dags.assemble(dag, results))


def test_every_try_of_a_unit_is_kept_and_one_success_makes_it_ok(
    tmp_path: Path, run_dag: RunDag, allowed: AllowedModules
) -> None:
    settings = protocols.FlakySettings(failures=2, marker_directory=str(tmp_path / "markers"))
    dag = protocol_dags.create(protocols.transformation(protocols.FlakyProtocol(settings)), name="dag")

    results = run_dag(dag, tries=3)
    pdr = protocol_dags.assemble(dag, results)
    decoded = keyed_chains.decompress(keyed_chains.compress(pdr), expected_key=str(pdr.key), allowed=allowed)

    assert [result.ok() for result in results] == [True, False, False, True]
    for each in (pdr, decoded):
        assert protocol_dags.is_ok(each)
        assert len(each.protocol_unit_results) == 4
        assert len(each.protocol_unit_failures) == 2
        flaky = protocol_dags.units(dag)[1].unit
        assert len(each.unit_to_all_results(flaky)) == 3
        assert each.unit_to_result(flaky).key == results[-1].key
        assert [failure.exception for failure in protocol_dags.failures(each)] == [
            "RuntimeError('try 1 of the flaky unit')",
            "RuntimeError('try 2 of the flaky unit')",
        ]
    assert protocols.executions(tmp_path / "markers") == {"flaky": 3}


def test_a_result_given_twice_counts_once(run_dag: RunDag) -> None:
    dag = protocol_dags.create(protocols.transformation(), name="dag")
    results = run_dag(dag)

    assert protocol_dags.assemble(dag, results + results[:2]).key == protocol_dags.assemble(dag, results).key


def test_a_result_of_another_dag_is_refused(run_dag: RunDag) -> None:
    dag, other = (protocol_dags.create(protocols.transformation(), name="dag") for _ in range(2))

    with pytest.raises(InvalidInput, match=f"which is not in {dag.key}"):
        protocol_dags.assemble(dag, run_dag(other))


def test_a_unit_without_the_results_it_needs_is_refused(tmp_path: Path) -> None:
    nodes = protocol_dags.units(protocol_dags.create(protocols.transformation(), name="dag"))

    with pytest.raises(InvalidInput, match=f"{nodes[1].key} needs a successful result of {nodes[0].key}"):
        protocol_dags.execute_unit(nodes[1], {}, shared=tmp_path, scratch=tmp_path)


def test_a_unit_is_not_given_a_failure_for_a_result(tmp_path: Path, dag_of: Any) -> None:
    first = odd_units.UnwritableFailureUnit(name="first")
    nodes = protocol_dags.units(dag_of(first, odd_units.EchoUnit(name="second", before=first)))
    failure = protocol_dags.execute_unit(nodes[0], {}, shared=tmp_path, scratch=tmp_path)

    with pytest.raises(InvalidInput, match="needs a successful result"):
        protocol_dags.execute_unit(nodes[1], {nodes[0].key: failure}, shared=tmp_path, scratch=tmp_path)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ExecutionInterrupt, SystemExit, odd_units.Interrupted])
def test_an_interrupt_is_no_failure_of_the_unit(
    raised: type[BaseException], tmp_path: Path, dag_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd_units, "Interrupted", raised)
    (node,) = protocol_dags.units(dag_of(odd_units.InterruptedUnit(name="interrupted")))

    with pytest.raises(raised):
        protocol_dags.execute_unit(node, {}, shared=tmp_path, scratch=tmp_path)


def test_outputs_that_cannot_be_stored_make_a_failure_that_can(
    tmp_path: Path, dag_of: Any, allowed: AllowedModules
) -> None:
    (node,) = protocol_dags.units(dag_of(odd_units.UnwritableUnit(name="unwritable")))

    result = protocol_dags.execute_unit(node, {}, shared=tmp_path, scratch=tmp_path)

    assert not protocol_dags.is_ok(result)
    assert "outputs cannot be written as JSON" in protocol_dags.unit_traceback(result).exception
    assert protocol_dags.source_key(result) == node.key
    assert protocol_dags.times(result)[0] is not None
    assert keyed_chains.decompress(keyed_chains.compress(result), allowed=allowed).key == result.key


def test_an_exception_that_holds_an_object_can_be_stored(tmp_path: Path, dag_of: Any, allowed: AllowedModules) -> None:
    (node,) = protocol_dags.units(dag_of(odd_units.UnwritableFailureUnit(name="unwritable")))

    result = protocol_dags.execute_unit(node, {}, shared=tmp_path, scratch=tmp_path)

    said = protocol_dags.unit_traceback(keyed_chains.decompress(keyed_chains.compress(result), allowed=allowed))
    assert said.exception == """LookupError('no platform', "<class 'object'>")"""
    assert 'raise LookupError("no platform", object)' in said.traceback


def test_units_run_in_parallel_threads(tmp_path: Path, dag_of: Any, allowed: AllowedModules) -> None:
    nodes = protocol_dags.units(dag_of(*[odd_units.ThreadedUnit(name=str(i), index=i) for i in range(40)]))
    names = set()

    def run(node: protocol_dags.UnitNode) -> Any:
        names.add(threading.current_thread().name)
        scratch = tmp_path / node.key
        scratch.mkdir()
        result = protocol_dags.execute_unit(node, {}, shared=tmp_path, scratch=scratch)
        return keyed_chains.decompress(
            keyed_chains.compress(result), expected_key=protocol_dags.result_key(result), allowed=allowed
        )

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, nodes))

    assert len(names) > 1
    assert [str(result.outputs["index"]) for result in results] == [node.name for node in nodes]
    assert len({result.key for result in results}) == 40


def test_one_document_is_read_by_many_threads_at_once(allowed: AllowedModules) -> None:
    network = protocols.chain_network(20, name="threads")
    key, data = str(network.key), keyed_chains.compress(network)
    del network

    with ThreadPoolExecutor(8) as pool:
        keys = pool.map(lambda _: keyed_chains.decompress(data, expected_key=key, allowed=allowed).key, range(24))

    assert set(keys) == {key}
