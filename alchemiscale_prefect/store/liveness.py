"""Pooled connections that have died are found before they are used."""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

FRESH_SECONDS = 2.0
"""So long after its last use a connection is taken to be alive. SQLAlchemy's own ``pool_pre_ping`` asks the server each
time, which makes a short transaction a quarter longer; who meets a server that has just restarted tries again."""

_USED = "alchemiscale_used_at"


def ask_before_use(engine: Engine) -> None:
    """Have `engine`'s pool try each connection that lay idle before it is used, and replace those that died."""

    def returned(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info[_USED] = time.monotonic()

    def taken(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
        used = entry.info.get(_USED)
        if used is None or time.monotonic() - used < FRESH_SECONDS:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            if not engine.dialect.is_disconnect(error, connection, None):
                raise
            alive = False
        if not alive:
            # the pool opens another one, and in place of all that are older than this moment
            raise InvalidatePoolError("the connection was closed while it lay idle")

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
