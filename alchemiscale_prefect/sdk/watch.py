"""Following a network while it runs."""

import time

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_key
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
from alchemiscale_prefect.sdk.retries import RETRIED
from alchemiscale_prefect.sdk.watch_display import Display, shown
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.networks import Progress


class Watch(Area):
    """A live table in a terminal or a notebook."""

    def watch(
        self, network: ScopedKey | str, *, interval_seconds: float = 10.0, until_done: bool = True
    ) -> dict[str, int]:
        """Show how a network gets on: its Tasks by status, those that run, how fast it goes, and how long it will take.

        In a terminal the table is drawn in place, in a notebook under the cell; where the output is a file, a line is
        written whenever something changed. Ctrl-C (in a notebook: interrupt) leaves; the Tasks go on. An API that is
        away for a while, once the network was seen, is waited for.

        Parameters
        ----------
        network
            Its ScopedKey.
        interval_seconds
            How often to look.
        until_done
            Whether to return once no Task of the network runs, and none waits that is actioned on it. Otherwise only
            Ctrl-C ends it.

        Returns
        -------
        dict of str to int
            Tasks by status, as last seen.

        Raises
        ------
        InvalidInput
            Also a ValueError: `interval_seconds` is not positive.
        AlchemiscaleClientError
            There is no such network.
        """
        if not interval_seconds > 0.0:
            raise InvalidInput("`interval_seconds` must be more than 0", field="interval_seconds")
        key = as_scoped_key(network, "network")
        path = paths.fill(paths.NETWORK_PROGRESS, network=key)
        # what is wrong with the key or the address is said now, not in the display
        progress = Progress.model_validate(self._get(path))
        display = Display(key)
        display.update(progress)
        try:
            with shown(display) as draw:
                draw()
                while not (until_done and progress.done):
                    time.sleep(interval_seconds)
                    try:
                        progress = Progress.model_validate(self._get(path))
                    except (AlchemiscaleClientError, AlchemiscaleConnectionError) as error:
                        if not _will_pass(error):
                            raise
                        display.fail(str(error))
                    else:
                        display.update(progress)
                    draw()
        except KeyboardInterrupt:
            pass  # the user has seen enough
        return progress.status


def _will_pass(error: AlchemiscaleClientError | AlchemiscaleConnectionError) -> bool:
    return isinstance(error, AlchemiscaleConnectionError) or error.status_code in RETRIED
