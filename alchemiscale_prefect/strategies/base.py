"""What every Strategy is: stratocaster's interface, without needing stratocaster.

Where stratocaster is installed, its ``Strategy``, ``StrategySettings`` and ``StrategyResult`` count ours as their own:
``isinstance`` says so. What a Strategy here takes of another one is ``propose`` and ``weights`` alone, so those of
stratocaster, and a user's own, can be wrapped and stacked as they are.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Self

from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    GufeKey,
    GufeTokenizable,
    ProtocolResult,
    SettingsBaseModel,
)
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scaling import StrategyWeighting, Weight, normalized

Results = Mapping[GufeKey, ProtocolResult | None]

LIMITS = ("max_tasks", "budget")
"""What a proposal may say beside its weights: how many Tasks a network may have."""


class StrategySettings(SettingsBaseModel):
    """Base of every Strategy's settings."""


class StrategyResult(GufeTokenizable):  # type: ignore[misc]
    """What a Strategy proposes.

    Parameters
    ----------
    weights
        By the gufe key of the Transformation: ``None`` if it is to have no more results, 0 if none for now, else how
        urgent they are in a unit that is the Strategy's own.
    max_tasks
        How many Tasks the network may have in all, those that are done, wait or run together; ``None`` for any number.
        Those that failed leave their places to others.
    budget
        The same, but those that failed keep their places: they may be set waiting again.

    Raises
    ------
    InvalidInput
        A weight is negative, infinite or not a number.
    """

    def __init__(
        self, weights: Mapping[GufeKey, Weight], max_tasks: int | None = None, budget: int | None = None
    ) -> None:
        self._weights = {str(key): None if weight is None else float(weight) for key, weight in weights.items()}
        normalized(self._weights)
        self._max_tasks = max_tasks
        self._budget = budget

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {"max_tasks": None, "budget": None}

    def _to_dict(self) -> dict[str, Any]:
        return {"weights": self._weights, "max_tasks": self._max_tasks, "budget": self._budget}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Self:
        return cls(**dct)

    @property
    def weights(self) -> dict[GufeKey, Weight]:
        """As the Strategy gave them, ordered by key."""
        return {GufeKey(key): self._weights[key] for key in sorted(self._weights)}

    @property
    def max_tasks(self) -> int | None:
        """How many Tasks the network may have in all, but for those that failed."""
        return self._max_tasks

    @property
    def budget(self) -> int | None:
        """How many Tasks the network may have in all, those that failed among them."""
        return self._budget

    def resolve(self) -> dict[GufeKey, Weight]:
        """The weights divided by their sum, as stratocaster has it; zeros stay zeros if there is nothing else."""
        return {GufeKey(key): weight for key, weight in normalized(self._ordered(), StrategyWeighting.share).items()}

    def __or__(self, other: "StrategyResult") -> "StrategyResult":
        if both := sorted(self._weights.keys() & other.weights.keys()):
            raise InvalidInput(f"both have a weight for {', '.join(both)}", field="weights")
        return StrategyResult({**self.weights, **other.weights}, **least_limits([self, other]))

    def _ordered(self) -> dict[str, Weight]:
        return {str(key): weight for key, weight in self.weights.items()}


def check_runs(min_runs: int, max_runs: int | None) -> None:
    """Raise ValueError, for a validator of settings, if fewer results finish a Transformation than it is to get."""
    if max_runs is not None and min_runs > max_runs:
        raise ValueError(f"`min_runs` must not be above `max_runs`, {min_runs} > {max_runs}")


class Strategy(GufeTokenizable):  # type: ignore[misc]
    """Proposes which Transformations of a network are to have more results.

    A subclass names the class of its settings in ``_settings_cls`` and gives its proposal in ``_propose``. That must
    depend on the network and its results alone, and come to ``None`` for everything some day.

    Parameters
    ----------
    settings
        Of class ``_settings_cls``; a copy is kept that cannot be changed.

    Raises
    ------
    InvalidInput
        Also a ValueError: `settings` is something else.
    """

    _settings_cls: ClassVar[type[StrategySettings]]

    def __init__(self, settings: StrategySettings) -> None:
        if not isinstance(settings, self._settings_cls):
            raise InvalidInput(
                f"`{type(self).__qualname__}` expected a `{self._settings_cls.__qualname__}` instance, "
                f"not {type(settings).__qualname__}",
                field="settings",
            )
        self._settings = settings.frozen_copy()
        super().__init__()

    @property
    def settings(self) -> Any:
        """What it was made with; frozen."""
        return self._settings

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}

    def _to_dict(self) -> dict[str, Any]:
        return {"settings": self._settings}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Self:
        return cls(**dct)

    @classmethod
    def default_settings(cls) -> Any:
        """Settings to begin with; change them before a Strategy is made of them."""
        return cls._default_settings()

    @classmethod
    def _default_settings(cls) -> StrategySettings:
        return cls._settings_cls()

    def propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        """Weights from the results that there are.

        Parameters
        ----------
        protocol_results
            By the gufe key of the Transformation; one without results may be ``None`` or missing. What the built-in
            Strategies read of a ProtocolResult is in `chemistry.summaries.summary_of`.

        Returns
        -------
        StrategyResult
            A weight for every Transformation and NonTransformation of the network.
        """
        return self._propose(alchemical_network, protocol_results)

    @abstractmethod
    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult: ...


def proposed_weights(proposal: Any) -> dict[str, Weight]:
    """The weights of anybody's proposal: a StrategyResult of ours or of stratocaster's, or a plain mapping.

    Raises
    ------
    InvalidInput
        It has none.
    """
    weights = proposal if isinstance(proposal, Mapping) else getattr(proposal, "weights", None)
    if not isinstance(weights, Mapping):
        raise InvalidInput(
            f"a Strategy's proposal must have weights by Transformation; got {type(proposal).__qualname__}",
            field="weights",
        )
    return {str(key): None if weight is None else float(weight) for key, weight in weights.items()}


def least_limits(proposals: Iterable[Any]) -> dict[str, int | None]:
    """The smaller of what anybody's proposals allow a network of Tasks, as StrategyResult takes it."""
    given = list(proposals)
    limits = {name: [getattr(one, name, None) for one in given] for name in LIMITS}
    return {name: min((one for one in found if one is not None), default=None) for name, found in limits.items()}


def check_strategy(strategy: Any, field: str) -> None:
    """Refuse what has no ``propose`` or is no gufe object: `InvalidInput`."""
    if not isinstance(strategy, GufeTokenizable) or not callable(getattr(strategy, "propose", None)):
        raise InvalidInput(
            f"`{field}` must be a Strategy: a gufe object with a method `propose`, not {type(strategy).__qualname__}",
            field=field,
        )


def _join_stratocaster() -> None:
    """Have stratocaster take ours for its own."""
    if find_spec("stratocaster") is None:
        return
    theirs = import_module("stratocaster.base")
    for ours in (Strategy, StrategySettings, StrategyResult):
        getattr(theirs, ours.__name__).register(ours)


_join_stratocaster()
