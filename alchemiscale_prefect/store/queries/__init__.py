"""SQL, one file per area, set-wise: no query per item."""
