"""The state a user gives an AlchemicalNetwork."""

from enum import StrEnum

from alchemiscale_prefect.domain.errors import UnknownState


class NetworkState(StrEnum):
    """Whether a network is shown; by itself it does not stop its Tasks (as in alchemiscale)."""

    active = "active"
    inactive = "inactive"
    invalid = "invalid"
    deleted = "deleted"

    @classmethod
    def parse(cls, value: "NetworkState | str") -> "NetworkState":
        """The member `value` names; `UnknownState` with alchemiscale's text if there is none."""
        try:
            return cls(value)
        except ValueError as error:
            valid = [member.value for member in cls]
            raise UnknownState(
                f"'{value}' is not a valid state. Valid values include: {valid}", field="state"
            ) from error
