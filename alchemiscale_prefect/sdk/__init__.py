"""AlchemiscaleClient, composed of one file per area."""
