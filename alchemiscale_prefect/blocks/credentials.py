"""The block with which an operator gives compute flow runs their API credentials, and how a run finds its settings."""

import os
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import ValidationError

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.settings import ComputeFields, ComputeSettings

BLOCK_NAME = "alchemiscale-compute"


class AlchemiscaleCompute(ComputeFields, Block):
    """How compute flow runs reach the alchemiscale API, where they write, and what they may take of their hosts.

    Its fields are the settings of compute flow runs; what each means says the reference of settings.

    Example:
        ```python
        from alchemiscale_prefect.blocks import AlchemiscaleCompute

        AlchemiscaleCompute(
            api_url="https://alchemiscale.example.org", identifier="gpu-cluster", key="…",
            shared_basedir="/scratch/alchemiscale/shared", scratch_basedir="/tmp/alchemiscale",
        ).save("alchemiscale-compute")
        ```
    """

    _block_type_name: ClassVar[str] = "Alchemiscale Compute"
    _block_type_slug: ClassVar[str] = "alchemiscale-compute"
    _description: ClassVar[str] = "How compute flow runs reach the alchemiscale API, and where they write."


def load_compute_settings() -> ComputeSettings:
    """Settings of this run: the environment (``ALCHEMISCALE_COMPUTE_…``), the block `BLOCK_NAME` where it is silent.

    The block is read only if the environment lacks what has no default.

    Raises
    ------
    InvalidInput
        Neither gives what is needed; the message names what is missing.
    """
    try:
        return ComputeSettings()
    except ValidationError as error:
        incomplete = error.errors(include_input=False, include_url=False)
    if wrong := [item for item in incomplete if item["type"] != "missing"]:
        raise InvalidInput(f"{_variable(*wrong[0]['loc'])} is wrong: {wrong[0]['msg']}")
    try:
        block: Any = AlchemiscaleCompute.load(BLOCK_NAME)
    except ValueError as error:
        missing = ", ".join(_variable(*item["loc"]) for item in incomplete)
        raise InvalidInput(
            f"this run has no settings: set {missing}, or save an AlchemiscaleCompute block as '{BLOCK_NAME}'"
        ) from error
    given = {variable.upper() for variable in os.environ}
    silent = {name for name in ComputeFields.model_fields if _variable(name) not in given}
    return ComputeSettings(**{name: getattr(block, name) for name in silent})


def _variable(*path: str | int) -> str:
    return f"{ComputeSettings.model_config.get('env_prefix', '')}{'_'.join(map(str, path))}".upper()
