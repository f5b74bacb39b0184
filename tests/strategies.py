"""A Strategy as stratocaster has them, for tests: stratocaster itself is only on conda-forge."""

from typing import Any, Self

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable, SettingsBaseModel
from alchemiscale_prefect.strategies import Strategy, StrategyResult, StrategySettings


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
