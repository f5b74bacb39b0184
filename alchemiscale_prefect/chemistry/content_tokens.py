"""The token of a stored keyed dict by gufe >= 1's rule (gufe 0.4 has its own)."""

import json
from hashlib import md5
from typing import Any

from gufe.tokenization import JSON_HANDLER, GufeTokenizable

from alchemiscale_prefect.domain.keyed_chains import VERSION


def content_token(obj: GufeTokenizable, document: dict[str, Any]) -> str:
    """The token that the class of `obj` gives to a stored keyed dict, whatever the class would write today.

    gufe takes the MD5 of the JSON, with sorted fields and without those that hold the class's defaults.

    Parameters
    ----------
    obj
        The object built from `document`.
    document
        The keyed dict as plain JSON.
    """
    defaults = json.loads(json.dumps(obj.defaults(), cls=JSON_HANDLER.encoder))
    # the version counted as a default when the document was written, whatever the class's version is today
    content = {
        name: value
        for name, value in document.items()
        if name != VERSION and not (name in defaults and bool(defaults[name] == value))
    }
    return md5(json.dumps(content, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
