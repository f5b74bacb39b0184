"""Rules and values: scopes, keys, Tasks and their transitions, keyed chains, access, errors."""
