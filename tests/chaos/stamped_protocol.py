"""A Protocol that leaves a trace of all that it does: who worked on which unit when, and what was done.

Every process appends to one file, a line at a time. So the order of its lines is the order in which things happened,
whoever did them and whatever became of him.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from alchemiscale_prefect.chemistry.base import ProtocolDAGResult, ProtocolUnit, SettingsBaseModel, unit
from tests.protocols import FanOutProtocol, KJPerMolQuantity, SecondQuantity

START, BEAT, END = "start", "beat", "end"
BEAT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stamp:
    """One line.

    Attributes
    ----------
    event
        A unit was started; its process is alive and at it; it ended.
    unit
        Its index.
    flow_run, pid
        Who was at it.
    token
        Of this execution of the unit; also in its result.
    """

    event: str
    unit: int
    flow_run: str
    pid: int
    token: str

    def write(self, file: Path) -> None:
        """Append it, in one call of the system: lines of several processes are never mixed."""
        line = json.dumps([self.event, self.unit, self.flow_run, self.pid, self.token]) + "\n"
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def read_stamps(file: Path) -> list[Stamp]:
    """All lines, in the order in which they were written."""
    return [Stamp(*json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


class StampedSettings(SettingsBaseModel):
    n_units: int = 4
    duration: SecondQuantity = 0.5 * unit.second
    stamps: str = "stamps"
    failing_unit: int = -1
    free_energy: KJPerMolQuantity = -12.5 * unit.kilojoule_per_mole


class StampedUnit(ProtocolUnit):
    @staticmethod
    def _execute(
        ctx: Any, *, index: int, settings: StampedSettings, before: Any = None, **inputs: Any
    ) -> dict[str, Any]:
        file, token = Path(settings.stamps), uuid4().hex
        flow_run = os.environ["PREFECT__FLOW_RUN_ID"]

        def stamp(event: str) -> None:
            Stamp(event, index, flow_run, os.getpid(), token).write(file)

        stamp(START)
        end = time.monotonic() + settings.duration.m_as("second")
        while time.monotonic() < end:
            time.sleep(BEAT_SECONDS)
            stamp(BEAT)
        if index == settings.failing_unit:
            raise RuntimeError("as it was told to")
        (ctx.shared / "made").write_text(token)
        if before is not None:
            assert before.outputs["file"].read_text() == before.outputs["token"]
        stamp(END)
        return {"token": token, "file": ctx.shared / "made", "free_energy": settings.free_energy}


class StampedProtocol(FanOutProtocol):
    """A chain of ``n_units`` units, each of which takes ``duration``; ``failing_unit`` raises at every try."""

    _settings_cls = StampedSettings

    @classmethod
    def _default_settings(cls) -> StampedSettings:  # type: ignore[override]
        return StampedSettings()

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        units: list[ProtocolUnit] = []
        for index in range(self.settings.n_units):
            before = {"before": units[-1]} if units else {}
            units.append(StampedUnit(name=f"unit {index}", index=index, settings=self.settings, **before))
        return units
