"""Routes, one file per area; every path comes from `wire.paths`."""
