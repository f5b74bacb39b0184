"""Bytes by location: the port, and its implementations."""
