"""Following a network while it runs."""

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area


class Watch(Area):
    """A live table in a terminal or a notebook."""

    def watch(
        self, network: ScopedKey | str, *, interval_seconds: float = 10.0, until_done: bool = True
    ) -> dict[str, int]:
        """Show how a network gets on until its Tasks are done, or Ctrl-C."""
        raise NotImplementedError
