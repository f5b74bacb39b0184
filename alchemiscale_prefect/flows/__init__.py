"""Prefect flows, thin: settings, then one call into the package."""
