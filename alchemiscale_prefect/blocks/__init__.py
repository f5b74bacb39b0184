"""Blocks a user fills in in the Prefect UI; Prefect loads this package through its entry point."""

from alchemiscale_prefect.blocks.credentials import AlchemiscaleCompute

__all__ = ["AlchemiscaleCompute"]
