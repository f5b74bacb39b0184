"""How gufe objects travel: the JSON text of a keyed chain, or the stored bytes of a result."""

GUFE_VERSION = "alchemiscale-gufe-version"
"""Header of an answer that is a gufe object: who wrote it, for example ``1.12.0``, or only the major line, ``1``. More
than one, separated by commas, where an object refers to some that were there before. Absent where it is not known.

gufe keys are not stable across versions of gufe: by this a client knows to take an object whose key it would compute
otherwise.
"""
