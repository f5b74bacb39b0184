"""The HTTP API: parse, authorise through services, answer. It never deserialises gufe objects."""
