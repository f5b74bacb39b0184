"""The block with which an operator gives compute flow runs their API credentials, and how a run finds its settings."""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, ValidationError

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.settings import ComputeSettings

BLOCK_NAME = "alchemiscale-compute"


class AlchemiscaleCompute(Block):
    """How compute flow runs reach the alchemiscale API, and where they write.

    Attributes:
        api_url: Address of the API.
        identifier: Identifier of a compute identity.
        key: Its key.
        shared_basedir: Folder in which the units of a ProtocolDAG pass files to each other.
        scratch_basedir: Folder for what only one unit needs.

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

    api_url: str = Field(description="Address of the API.")
    identifier: str = Field(description="Identifier of a compute identity.")
    key: SecretStr = Field(description="Its key.")
    shared_basedir: Path = Field(description="Folder in which the units of a ProtocolDAG pass files to each other.")
    scratch_basedir: Path = Field(description="Folder for what only one unit needs.")


def load_compute_settings() -> ComputeSettings:
    """Settings of this run: the environment (``ALCHEMISCALE_COMPUTE_…``), the block `BLOCK_NAME` where it is silent.

    Raises
    ------
    InvalidInput
        Neither gives what is needed; the message names what is missing.
    """
    try:
        return ComputeSettings()
    except ValidationError as incomplete:
        try:
            block: Any = AlchemiscaleCompute.load(BLOCK_NAME)
        except ValueError as error:
            missing = ", ".join(
                f"ALCHEMISCALE_COMPUTE_{'_'.join(map(str, item['loc']))}".upper() for item in incomplete.errors()
            )
            raise InvalidInput(
                f"this run has no settings: set {missing}, or save an AlchemiscaleCompute block as '{BLOCK_NAME}'"
            ) from error
        given = {name: getattr(block, name) for name in type(block).model_fields}
        return ComputeSettings(**given)
