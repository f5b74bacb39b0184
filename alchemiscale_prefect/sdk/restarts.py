"""Restart patterns: Tasks that run again by themselves after errors one knows."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.restarts import check_allowed_restarts, check_patterns
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_key, as_scoped_keys
from alchemiscale_prefect.wire import paths


class Restarts(Area):
    """Restart patterns of networks."""

    def add_task_restart_patterns(
        self, network_scoped_key: ScopedKey | str, patterns: list[str], num_allowed_restarts: int
    ) -> ScopedKey:
        """Have Tasks of a network run again when their tracebacks match a pattern.

        Whenever a Task that is actioned on the network fails, the patterns are looked for in the tracebacks of its
        result. Where one is found, the Task is set ``waiting`` again; where none is, or one that is found has used up
        its restarts, the Task is taken off the network and stays in ``error``. Tasks that are in error now are treated
        the same at once.

        Parameters
        ----------
        network_scoped_key
            The network's ScopedKey.
        patterns
            Regular expressions of Python's `re`, searched for with `re.search` in the text of each traceback (the last
            65,536 characters of it), which ends with the exception's name and message. A pattern that the network has
            gets the new number of restarts and begins to count anew.
        num_allowed_restarts
            How often each pattern may restart each Task, 1 or more.

        Returns
        -------
        ScopedKey
            The network's.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is sent: `patterns` is not a list of strings that are not empty, or the
            number is less than one.
        AlchemiscaleClientError
            There is no such network, or a pattern is no regular expression or takes too long; nothing was changed.
        """
        key = as_scoped_key(network_scoped_key, "network_scoped_key")
        document = {"patterns": check_patterns(patterns), "num_allowed_restarts": num_allowed_restarts}
        check_allowed_restarts(num_allowed_restarts)
        self._post(paths.fill(paths.NETWORK_RESTART_PATTERNS_ADD, network=key), document)
        return key

    def get_task_restart_patterns(self, network_scoped_key: ScopedKey | str) -> dict[str, int]:
        """The restart patterns of a network.

        Parameters
        ----------
        network_scoped_key
            Its ScopedKey.

        Returns
        -------
        dict
            Pattern → how often it may restart each Task.

        Raises
        ------
        AlchemiscaleClientError
            There is no such network.
        """
        return self.get_networks_task_restart_patterns([network_scoped_key])[0]

    def get_networks_task_restart_patterns(self, networks: Sequence[ScopedKey | str]) -> list[dict[str, int]]:
        """The restart patterns of networks.

        Parameters
        ----------
        networks
            Their ScopedKeys.

        Returns
        -------
        list of dict
            In the order of `networks`: pattern → how often it may restart each Task.

        Raises
        ------
        AlchemiscaleClientError
            One of them is not there.
        """
        names = [str(key) for key in as_scoped_keys(networks, "networks")]
        found = self._post(paths.NETWORKS_RESTART_PATTERNS_GET, {"networks": names})
        return [dict(found[name]) for name in names]

    def set_task_restart_patterns_allowed_restarts(
        self, network_scoped_key: ScopedKey | str, patterns: list[str], num_allowed_restarts: int
    ) -> None:
        """Change how often patterns of a network may restart each Task. It counts from the next failure on.

        Parameters
        ----------
        network_scoped_key
            The network's ScopedKey.
        patterns
            Those to change; one that the network has not is left out.
        num_allowed_restarts
            1 or more. What was counted stays.
        """
        key = as_scoped_key(network_scoped_key, "network_scoped_key")
        document = {"patterns": check_patterns(patterns), "max_retries": num_allowed_restarts}
        check_allowed_restarts(num_allowed_restarts)
        self._post(paths.fill(paths.NETWORK_RESTART_PATTERNS_MAX_RETRIES, network=key), document)

    def remove_task_restart_patterns(self, network_scoped_key: ScopedKey | str, patterns: list[str]) -> None:
        """Take restart patterns from a network. Its Tasks stay as they are.

        Parameters
        ----------
        network_scoped_key
            The network's ScopedKey.
        patterns
            Those to remove; one that the network has not is left out.
        """
        key = as_scoped_key(network_scoped_key, "network_scoped_key")
        document = {"patterns": check_patterns(patterns)}
        self._post(paths.fill(paths.NETWORK_RESTART_PATTERNS_REMOVE, network=key), document)

    def clear_task_restart_patterns(self, network_scoped_key: ScopedKey | str) -> None:
        """Take all restart patterns from a network. Its Tasks stay as they are.

        Parameters
        ----------
        network_scoped_key
            The network's ScopedKey.
        """
        key = as_scoped_key(network_scoped_key, "network_scoped_key")
        self._get(paths.fill(paths.NETWORK_RESTART_PATTERNS_CLEAR, network=key))
