"""How a ProtocolDAGResult travels."""

ZSTD = "application/zstd"
"""Whoever names this in ``Accept`` gets the stored bytes, a zstd-compressed keyed chain, as they are. Others get
alchemiscale's JSON: a list of one string, a character for each byte, about twice as large."""
