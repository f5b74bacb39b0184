"""What crosses HTTP: every path once, every body once, for the API and the SDK."""
