"""A Strategy as stratocaster has them, for tests: stratocaster itself is only on conda-forge."""

from pathlib import Path
from typing import Any, Self

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable, SettingsBaseModel
from alchemiscale_prefect.strategies import Strategy, StrategyResult, StrategySettings
from tests import protocols
from tests.waiting import wait_for


class EvenSettings(SettingsBaseModel):
    """How many results of each Transformation are enough."""

    max_runs: int = 3


class EvenStrategy(GufeTokenizable):
    """The same for every Transformation, until each has enough results."""

    def __init__(self, settings: EvenSettings) -> None:
        self._settings = settings
        super().__init__()

    @property
    def settings(self) -> EvenSettings:
        return self._settings

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}

    def _to_dict(self) -> dict[str, Any]:
        return {"settings": self._settings}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Self:
        return cls(**dct)

    def propose(self, network: AlchemicalNetwork, results: dict[str, Any]) -> dict[str, float | None]:
        """A weight for each Transformation; ``None`` for one that has enough."""
        counts = {str(edge.key): len(getattr(results.get(str(edge.key)), "data", ())) for edge in network.edges}
        return {key: 1.0 if count < self.settings.max_runs else None for key, count in counts.items()}


class ReadingSettings(StrategySettings):
    """How many values of each Transformation are enough."""

    max_values: int = 2


class ReadingStrategy(Strategy):
    """Looks into the ProtocolResults of a `tests.protocols.FanOutProtocol`, which no summary can stand for."""

    _settings_cls = ReadingSettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Any) -> StrategyResult:
        counts = {
            key: 0 if result is None else len(result.data["free_energies"]) for key, result in protocol_results.items()
        }
        return StrategyResult({key: 1.0 if n < self.settings.max_values else None for key, n in counts.items()})


class WantingSettings(StrategySettings):
    """Name of the Transformation that is wanted, and where to leave markers as in `tests.protocols`."""

    wanted: str = ""
    marker_directory: str = "markers"


class WantingStrategy(Strategy):
    """Wants one Transformation and waits with saying so for `tests.protocols.wake`; raises if there is none."""

    _settings_cls = WantingSettings
    reads_summaries = True

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Any) -> StrategyResult:
        settings = self.settings
        names = [edge.name for edge in alchemical_network.edges]
        if settings.wanted not in names:
            raise LookupError(f"there is no {settings.wanted} among {len(names)} Transformations")
        protocols.mark(settings.marker_directory, "asked")
        wait_for((Path(settings.marker_directory) / "alarm").exists, "somebody to wake the Strategy", 240.0)
        return StrategyResult(
            {edge.key: 1.0 if edge.name == settings.wanted else 0.0 for edge in alchemical_network.edges}
        )
