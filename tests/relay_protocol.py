"""A Protocol whose units hand files on: each reads its predecessor's and writes one of its own."""

from pathlib import Path
from typing import Any

from alchemiscale_prefect.chemistry.base import ProtocolDAGResult, ProtocolUnit, SettingsBaseModel, unit
from tests.protocols import FanOutProtocol, KJPerMolQuantity, mark


class RelaySettings(SettingsBaseModel):
    """`naming`: how a unit tells its successor where the file is.

    ``path``, ``text`` and ``through`` (the first unit's file, handed on by all) are in the result; ``file`` is in a
    file beside it.
    """

    n_units: int = 6
    naming: str = "path"
    size: int = 10
    marker_directory: str
    free_energy: KJPerMolQuantity = -12.5 * unit.kilojoule_per_mole


class RelayUnit(ProtocolUnit):
    @staticmethod
    def _execute(ctx: Any, *, index: int, settings: RelaySettings, before: Any = None, **inputs: Any) -> dict[str, Any]:
        mark(settings.marker_directory, f"leg-{index}")
        read = [] if before is None else _where(before.outputs).read_text().split()[-1:]
        assert read == [] if index == 0 else ["0" if settings.naming == "through" else str(index - 1)], read
        (ctx.shared / "inner").mkdir()
        file = ctx.shared / "inner" / "baton"
        file.write_text("x" * settings.size + f" {index}")
        outputs: dict[str, Any] = {"free_energy": settings.free_energy, "n_units": 1}
        if settings.naming == "file":
            (ctx.shared / "where").write_text(str(file))
            return {**outputs, "where": ctx.shared / "where"}
        if settings.naming == "through" and before is not None:
            return {**outputs, "baton": before.outputs["baton"]}
        return {**outputs, "baton": file if settings.naming == "path" else [{"at": f"file://{file}"}]}


def _where(outputs: dict[str, Any]) -> Path:
    if "where" in outputs:
        return Path(outputs["where"].read_text())
    baton = outputs["baton"]
    return baton if isinstance(baton, Path) else Path(baton[0]["at"].removeprefix("file://"))


class RelayProtocol(FanOutProtocol):
    """A chain of ``n_units`` units."""

    _settings_cls = RelaySettings

    @classmethod
    def _default_settings(cls) -> RelaySettings:  # type: ignore[override]
        return RelaySettings(marker_directory="markers")

    def _create(
        self, stateA: Any, stateB: Any, mapping: Any = None, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]:
        units: list[ProtocolUnit] = []
        for index in range(self.settings.n_units):
            before = {"before": units[-1]} if units else {}
            units.append(RelayUnit(name=f"leg {index}", index=index, settings=self.settings, **before))
        return units
