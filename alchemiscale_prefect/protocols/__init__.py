"""Built-in Protocols: real calculations small enough for a laptop, with known answers."""
