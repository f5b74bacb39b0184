"""Results: ProtocolDAGResults of Tasks, and what the Protocols gather from them."""

import warnings
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Literal

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_key
from alchemiscale_prefect.sdk.content import Content, Stored
from alchemiscale_prefect.sdk.display import counting
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.networks import TransformationEstimate
from alchemiscale_prefect.wire.objects import GUFE_VERSION
from alchemiscale_prefect.wire.results import ZSTD

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import ProtocolDAGResult, ProtocolResult, Transformation


class ResultFormat(StrEnum):
    """What `get_transformation_results` and `get_network_results` give.

    Attributes
    ----------
    PROTOCOL_RESULT
        One ProtocolResult, gathered from all successful ProtocolDAGResults.
    PROTOCOL_RESULTS
        One ProtocolResult for each successful ProtocolDAGResult.
    PROTOCOL_DAG_RESULTS
        The successful ProtocolDAGResults themselves.
    """

    PROTOCOL_RESULT = "ProtocolResult"
    PROTOCOL_RESULTS = "ProtocolResults"
    PROTOCOL_DAG_RESULTS = "ProtocolDAGResults"


_Format = ResultFormat | Literal["ProtocolResult", "ProtocolResults", "ProtocolDAGResults"]


class Route(StrEnum):
    """The two kinds of results, as they stand in the API's paths."""

    results = "results"
    failures = "failures"


class Results(Area):
    """Results of Tasks, Transformations and networks. They stay with the Task, whatever its status is now.

    `compress` is alchemiscale's: it has no bearing on ProtocolDAGResults, which always come as they are stored.
    """

    def get_transformation_results(
        self,
        transformation: ScopedKey | str,
        return_as: _Format = ResultFormat.PROTOCOL_RESULT,
        return_protocoldagresults: bool | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> "ProtocolResult | list[ProtocolResult] | list[ProtocolDAGResult] | None":
        """What is known of the free energy of a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        return_as
            A `ResultFormat`, or its value.
        return_protocoldagresults
            .. deprecated:: 0.1
                ``True`` is ``return_as="ProtocolDAGResults"``.
        compress
            Whether the API sends the Transformation compressed. Results always come as compressed as they are stored.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ProtocolResult or None, list of ProtocolResult, or list of ProtocolDAGResult
            As `return_as` says; ``None`` or an empty list if there is no successful result.

        Raises
        ------
        InvalidInput
            Also a ValueError: `return_as` is none of the formats.
        """
        wanted = _wanted(return_as, return_protocoldagresults)
        key = as_scoped_key(transformation, "transformation")
        listing = paths.fill(paths.TRANSFORMATION_RESULTS, transformation=key)
        results = self._listed_results(listing, key, Route.results, visualize)
        return _shaped(results, wanted, partial(self._transformation, key, compress))

    def get_transformation_failures(
        self,
        transformation: ScopedKey | str,
        compress: bool = True,  # noqa: ARG002  see the class
        visualize: bool = True,
    ) -> "list[ProtocolDAGResult]":
        """Failed ProtocolDAGResults of a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        compress, visualize
            See `get_transformation_results`.

        Returns
        -------
        list of ProtocolDAGResult
            In no particular order. Their ``protocol_unit_failures`` have the exceptions and tracebacks.
        """
        key = as_scoped_key(transformation, "transformation")
        listing = paths.fill(paths.TRANSFORMATION_FAILURES, transformation=key)
        return self._listed_results(listing, key, Route.failures, visualize)

    def get_task_results(
        self,
        task: ScopedKey | str,
        compress: bool = True,  # noqa: ARG002  see the class
        visualize: bool = True,
    ) -> "list[ProtocolDAGResult]":
        """Successful ProtocolDAGResults of a Task.

        Parameters
        ----------
        task
            Its ScopedKey.
        compress, visualize
            See `get_transformation_results`.

        Returns
        -------
        list of ProtocolDAGResult

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        return self._task_results(paths.TASK_RESULTS, as_scoped_key(task, "task"), Route.results, visualize)

    def get_task_failures(
        self,
        task: ScopedKey | str,
        compress: bool = True,  # noqa: ARG002  see the class
        visualize: bool = True,
    ) -> "list[ProtocolDAGResult]":
        """Failed ProtocolDAGResults of a Task: one for each time that it ended in ``error``.

        Parameters
        ----------
        task
            Its ScopedKey.
        compress, visualize
            See `get_transformation_results`.

        Returns
        -------
        list of ProtocolDAGResult

        Raises
        ------
        AlchemiscaleClientError
            There is no such Task.
        """
        key = as_scoped_key(task, "task")
        return self._task_results(paths.TASK_FAILURES, key, Route.failures, visualize)

    def get_network_results(
        self,
        network: ScopedKey | str,
        return_as: _Format = ResultFormat.PROTOCOL_RESULT,
        return_protocoldagresults: bool | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> "dict[ScopedKey, ProtocolResult | list[ProtocolResult] | list[ProtocolDAGResult] | None]":
        """What is known of the free energies of a network.

        Parameters
        ----------
        network
            Its ScopedKey.
        return_as, return_protocoldagresults, compress, visualize
            See `get_transformation_results`.

        Returns
        -------
        dict of ScopedKey to what `get_transformation_results` gives
            Every Transformation of the network is in it.

        Raises
        ------
        InvalidInput
            Also a ValueError: `return_as` is none of the formats.
        """
        wanted = _wanted(return_as, return_protocoldagresults)
        gathered = wanted is not ResultFormat.PROTOCOL_DAG_RESULTS

        def with_results(transformation: ScopedKey) -> None:
            if gathered:
                self._transformation(transformation, compress)

        return {
            key: _shaped(results, wanted, partial(self._transformation, key, compress))
            for key, results in self._network_results(network, Route.results, visualize, with_results)
        }

    def get_network_failures(
        self,
        network: ScopedKey | str,
        compress: bool = True,  # noqa: ARG002  see the class
        visualize: bool = True,
    ) -> "dict[ScopedKey, list[ProtocolDAGResult]]":
        """Failed ProtocolDAGResults of a network.

        Parameters
        ----------
        network
            Its ScopedKey.
        compress, visualize
            See `get_transformation_results`.

        Returns
        -------
        dict of ScopedKey to list of ProtocolDAGResult
            Every Transformation of the network is in it.
        """
        return dict(self._network_results(network, Route.failures, visualize))

    def get_network_estimates(self, network: ScopedKey | str) -> list[TransformationEstimate]:
        """Estimates of a network as they were recorded with the results: no result is fetched.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        list of TransformationEstimate
            One for each Transformation: its states, and an estimate and uncertainty for each successful result.
        """
        path = paths.fill(paths.TRANSFORMATIONS_ESTIMATES, network=as_scoped_key(network, "network"))
        return [TransformationEstimate.model_validate(estimate) for estimate in self._get(path)]

    # --- reading ---------------------------------------------------------------------------------------------------

    def _transformation(self, key: ScopedKey, compress: bool) -> "Transformation":
        found: Transformation = self._contents.object(
            paths.fill(paths.TRANSFORMATION, transformation=key), key, compress
        )
        return found

    def _task_results(self, listing: str, task: ScopedKey, route: Route, visualize: bool) -> "list[ProtocolDAGResult]":
        transformation = ScopedKey.from_str(self._get(paths.fill(paths.TASK_TRANSFORMATION, task=task)))
        return self._listed_results(paths.fill(listing, task=task), transformation, route, visualize)

    def _listed_results(
        self, listing: str, transformation: ScopedKey, route: Route, visualize: bool
    ) -> "list[ProtocolDAGResult]":
        """The results that the API lists at `listing`, fetched several at once."""
        references = self._get_keys(listing)
        found = []
        with counting("Retrieving [bold]ProtocolDAGResult[/bold]s", len(references), show=visualize) as advance:
            for content in self._transport.fan_out(
                lambda reference: self._result(transformation, reference, route), references
            ):
                found.append(self._contents.decode(content))
                advance()
        return found

    def _network_results(
        self,
        network: ScopedKey | str,
        route: Route,
        visualize: bool,
        with_results: Callable[[ScopedKey], None] = lambda _: None,
    ) -> "Iterator[tuple[ScopedKey, list[ProtocolDAGResult]]]":
        """Each Transformation with its results. Several Transformations' are fetched at once, few are in memory.

        `with_results` is called, by a thread that fetches, with each Transformation that has any.
        """
        key = as_scoped_key(network, "network")
        transformations = self._get_keys(paths.fill(paths.NETWORK_TRANSFORMATIONS, network=key))
        listing = paths.TRANSFORMATION_RESULTS if route is Route.results else paths.TRANSFORMATION_FAILURES

        def fetch(transformation: ScopedKey) -> list[Content]:
            references = self._get_keys(paths.fill(listing, transformation=transformation))
            if references:
                with_results(transformation)
            return [self._result(transformation, reference, route) for reference in references]

        description = f"Retrieving [bold]Transformation[/bold] {route}"
        with counting(description, len(transformations), show=visualize) as advance:
            fetched = self._transport.fan_out(fetch, transformations)
            for transformation, contents in zip(transformations, fetched, strict=True):
                yield transformation, [self._contents.decode(content) for content in contents]
                advance()

    def _result(self, transformation: ScopedKey, reference: ScopedKey, route: Route) -> Content:
        path = paths.fill(paths.PROTOCOL_DAG_RESULT, transformation=transformation, route=route, result=reference)

        def fetch() -> Stored:
            # as they are stored: what is compressed once gains nothing by gzip
            headers = {"Accept": ZSTD, "Accept-Encoding": "identity"}
            response = self._transport.request("GET", path, headers=headers)
            return Stored(response.content, response.headers.get(GUFE_VERSION))

        return self._contents.read(reference, fetch)


def _wanted(return_as: str, return_protocoldagresults: bool | None) -> ResultFormat:
    if return_protocoldagresults is not None:
        warnings.warn(
            "The 'return_protocoldagresults' parameter is deprecated and will be removed in a future version. "
            "Use 'return_as' instead.",
            DeprecationWarning,
            stacklevel=3,
        )
        if return_protocoldagresults:
            return ResultFormat.PROTOCOL_DAG_RESULTS
    try:
        return ResultFormat(return_as)
    except ValueError as error:
        valid = ", ".join(f"'{member.value}'" for member in ResultFormat)
        raise InvalidInput(f"`return_as` takes one of {valid}, not {return_as!r}", field="return_as") from error


def _shaped(
    results: "list[ProtocolDAGResult]", wanted: ResultFormat, transformation: "Callable[[], Transformation]"
) -> "ProtocolResult | list[ProtocolResult] | list[ProtocolDAGResult] | None":
    if wanted is ResultFormat.PROTOCOL_DAG_RESULTS:
        return results
    if not results:
        return None if wanted is ResultFormat.PROTOCOL_RESULT else []
    from alchemiscale_prefect.chemistry.results import gather

    its = transformation()
    if wanted is ResultFormat.PROTOCOL_RESULT:
        return gather(its, results)
    gathered = [gather(its, [result]) for result in results]
    return [result for result in gathered if result is not None]
