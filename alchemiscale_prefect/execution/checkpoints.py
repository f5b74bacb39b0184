"""What of a Task's checkpoint can be taken up on this machine, and what of it a later attempt will need.

Unit results name files by absolute path. A result is taken up where its files are, or can be laid: at the same path, or
at another one, if all that names the shared directory can be changed with it. What cannot is done again, together with
all that was made of it, so that results of different runs are never mixed.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.base import ProtocolDAG, ProtocolUnitResult
from alchemiscale_prefect.chemistry.protocol_dags import UnitNode
from alchemiscale_prefect.domain.errors import (
    AlchemiscaleError,
    AttemptVoid,
    GufeVersionConflict,
    InvalidInput,
    NotFound,
)
from alchemiscale_prefect.execution import checkpoint_files
from alchemiscale_prefect.execution.compute_client import ComputeClient
from alchemiscale_prefect.execution.workspace import Workspace
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError
from alchemiscale_prefect.wire import compute as wire

log = logging.getLogger(__name__)

MB = 1000**2


@dataclass(frozen=True, slots=True)
class TakenUp:
    """An earlier attempt's work.

    Attributes
    ----------
    dag
        The ProtocolDAG.
    tries
        Results of its units, failed ones too, in the order in which they were stored. None is of a unit that is to
        run again for want of its files.
    """

    dag: ProtocolDAG
    tries: list[ProtocolUnitResult]


def take_up(client: ComputeClient, checkpoint: wire.Checkpoint, workspace: Workspace) -> TakenUp | None:
    """The checkpoint, its files laid into the workspace; ``None`` if nothing of it can be used.

    Raises
    ------
    AlchemiscaleError
        The API cannot be asked.
    OSError
        The files cannot be written.
    """
    try:
        dag: ProtocolDAG = keyed_chains.decompress(client.fetch_dag())
    except AlchemiscaleError as error:
        if not _is_unusable(error):
            raise
        # as it is on every attempt: better to do the units again than to be lost again and again
        log.warning("the checkpoint cannot be taken up; starting anew: %s", error)
        return None
    reader = _Reader(client, workspace, protocol_dags.units(dag), checkpoint.units)
    tries = reader.read()
    if not tries and checkpoint.units:
        log.warning("no unit result of the checkpoint can be used here; starting anew")
        return None
    workspace.shared.mkdir(parents=True, exist_ok=True)
    log.info("taking up %d unit results of an earlier attempt", len(tries))
    return TakenUp(dag, tries)


def keep_files(
    client: ComputeClient, workspace: Workspace, result: ProtocolUnitResult, directory: Path, limit_mb: int
) -> None:
    """Send what a unit left in its shared directory, so that an attempt on another host can go on from there.

    Where that is not possible or more than `limit_mb`, a line in the log says so, and the files stay here alone.

    Raises
    ------
    AttemptVoid
        The attempt is not this run's any more.
    """
    key = protocol_dags.result_key(result)
    try:
        found = checkpoint_files.survey(directory, workspace.shared_id)
        obstacle = found.obstacle
        if found.size > limit_mb * MB:
            obstacle = f"{found.size / MB:.1f} MB are more than ALCHEMISCALE_COMPUTE_CHECKPOINT_FILES_MB={limit_mb}"
        if obstacle is not None:
            log.warning("the files of %s stay on this host, where alone they can be taken up: %s", key, obstacle)
            return

        def send(part: int, data: bytes, last: bool) -> None:
            client.store_files(key, part, data, wire.StoreFiles(last=last, relocatable=found.relocatable))

        checkpoint_files.pack(directory, send, wire.PART_BYTES)
    except AttemptVoid:
        raise
    except (OSError, AlchemiscaleClientError) as error:
        # the unit is done and its result kept: that they cannot travel is no reason to lose it
        log.warning("the files of %s stay on this host, where alone they can be taken up: %s", key, error)


class _Reader:
    """Chooses one result for each unit, of which all that it was made of is chosen too."""

    def __init__(
        self, client: ComputeClient, workspace: Workspace, nodes: Sequence[UnitNode], units: Sequence[wire.StoredUnit]
    ) -> None:
        self._client = client
        self._workspace = workspace
        self._nodes = nodes
        self._units = units
        self._needed = {key for node in nodes for key in node.dependencies}
        self._broken: set[str] = set()
        self._read: dict[str, ProtocolUnitResult | None] = {}

    def read(self) -> list[ProtocolUnitResult]:
        while True:
            chosen = self._choose()
            broken = {unit.key for unit, _ in self._to_fetch(chosen) if not self._fetch(unit)}
            if not broken:
                break
            self._broken |= broken
        kept = {protocol_dags.result_key(result): result for _, result in chosen.values()}
        for unit in self._units:  # failures after: what they were given is then what was chosen
            if not unit.ok and (failure := self._decoded(unit, strictly=False)) is not None:
                kept[unit.key] = failure
        return [kept[unit.key] for unit in self._units if unit.key in kept]

    def _choose(self) -> dict[str, tuple[wire.StoredUnit, ProtocolUnitResult]]:
        chosen: dict[str, tuple[wire.StoredUnit, ProtocolUnitResult]] = {}
        for node in self._nodes:
            if any(dependency not in chosen for dependency in node.dependencies):
                continue
            used = {chosen[dependency][0].key for dependency in node.dependencies}
            for unit in reversed(self._units):
                if unit.unit_key != node.key or not unit.ok or not self._is_usable(unit):
                    continue
                if unit.key not in self._read:
                    self._read[unit.key] = self._decoded(unit, strictly=node.key in self._needed)
                result = self._read[unit.key]
                if result is not None and protocol_dags.results_used(result) <= used:
                    chosen[node.key] = (unit, result)
                    break
        return chosen

    # --- files -------------------------------------------------------------------------------------------------------

    def _is_usable(self, unit: wire.StoredUnit) -> bool:
        if unit.key in self._broken:
            return False
        if unit.unit_key not in self._needed:
            return True  # nobody reads its files
        directory = self._directory(unit)
        if directory is None:
            return self._workspace.exists()
        if not self._is_moved(unit):
            return unit.files is not None or directory.is_dir()
        if unit.files is not None:
            return unit.files.relocatable
        return directory.is_dir() and checkpoint_files.survey(directory, self._workspace.shared_id).relocatable

    def _directory(self, unit: wire.StoredUnit) -> Path | None:
        """Where the files are to be here."""
        return None if unit.directory is None else self._workspace.shared / Path(unit.directory).name

    def _is_moved(self, unit: wire.StoredUnit) -> bool:
        return unit.directory is not None and Path(unit.directory).parent != self._workspace.shared

    def _to_fetch(
        self, chosen: Mapping[str, tuple[wire.StoredUnit, ProtocolUnitResult]]
    ) -> Iterator[tuple[wire.StoredUnit, ProtocolUnitResult]]:
        """What is not here of all that units still to run depend on, near and far: results hand paths on."""
        nodes = {node.key: node for node in self._nodes}
        to_see = [node.key for node in self._nodes if node.key not in chosen]
        seen: set[str] = set()
        while to_see:
            for key in nodes[to_see.pop()].dependencies:
                if key not in seen:
                    seen.add(key)
                    to_see.append(key)
        for key in seen & chosen.keys():
            directory = self._directory(chosen[key][0])
            if directory is not None and not directory.is_dir():
                yield chosen[key]

    def _fetch(self, unit: wire.StoredUnit) -> bool:
        directory = self._directory(unit)
        if directory is None or unit.files is None:
            return False
        parts = (self._client.fetch_files(unit.key, part) for part in range(unit.files.parts))
        try:
            checkpoint_files.unpack(parts, directory)
        except AlchemiscaleError as error:
            if not _is_unusable(error):
                raise
            log.warning("the files of %s cannot be taken up; it runs again: %s", unit.key, error)
            return False
        return True

    # --- results -----------------------------------------------------------------------------------------------------

    def _decoded(self, unit: wire.StoredUnit, *, strictly: bool) -> ProtocolUnitResult | None:
        """The result, its paths as they are here; ``None`` if it is damaged or, `strictly`, if a path cannot be
        changed."""
        try:
            text = keyed_chains.text_of(self._client.fetch_unit(unit.key))
            if unit.directory is not None and self._is_moved(unit):
                text, whole = relocate(text, Path(unit.directory).parent, self._workspace.shared)
                if strictly and not whole:
                    log.warning("%s names its files in a way that cannot be changed; it runs again", unit.key)
                    return None
            result: ProtocolUnitResult = keyed_chains.from_json(text, expected_key=unit.key)
        except AlchemiscaleError as error:
            if not _is_unusable(error):
                raise
            log.warning("%s cannot be taken up; its unit runs again: %s", unit.key, error)
            return None
        return result


def relocate(text: bytes, old: Path, new: Path) -> tuple[bytes, bool]:
    """JSON text with paths into the shared directory `old` made paths into `new`, which has the same name.

    Returns
    -------
    bytes, bool
        The text, and whether the name is nowhere in it but in such paths.
    """
    before, after = (json.dumps(str(path))[1:-1].encode() for path in (old, new))
    # not in the middle of a longer path
    changed = re.sub(rb"(?<![A-Za-z0-9_.\-])" + re.escape(before), lambda _: after, text)
    name = new.name.encode()
    return changed, changed.count(name) == changed.count(after)


def _is_unusable(error: AlchemiscaleError) -> bool:
    """Whether a checkpoint is missing bytes, damaged, or of another gufe: no try will read it."""
    return isinstance(error, InvalidInput | GufeVersionConflict) or error.code == NotFound.code
