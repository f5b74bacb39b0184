"""Prefect inside the package: launch, cancel, read states, deployments, artifacts."""
