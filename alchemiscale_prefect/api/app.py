"""The API server."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from alchemiscale_prefect.api import auth, errors, openapi
from alchemiscale_prefect.api.routes import (
    admin,
    chemicalsystems,
    compute,
    copies,
    explanations,
    grants,
    history,
    hosts,
    identities,
    network_details,
    networks,
    restarts,
    results,
    scopes,
    service,
    strategies,
    tasks,
    transformations,
)
from alchemiscale_prefect.bootstrap import System

_GC_THRESHOLDS = (50_000, 20, 20)

# a request is held against each route in turn: first those that are asked for most. Results last, see there
AREAS = (
    networks,
    tasks,
    transformations,
    chemicalsystems,
    compute,
    service,
    identities,
    grants,
    admin,
    hosts,
    scopes,
    network_details,
    copies,
    restarts,
    strategies,
    history,
    explanations,
    results,
)


def create_app(system: System) -> FastAPI:
    """The ASGI app on `system`, which it closes when it shuts down.

    Raises
    ------
    InvalidInput
        The secret that signs tokens is too short.
    """
    auth.check_secret(system.api)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # with Python's own thresholds, two thirds of the decoding of a large body goes to looking for cycles in it
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        yield
        system.close()

    app = FastAPI(title="AlchemiscaleAPI", lifespan=lifespan)
    auth.install(app, system)
    # level 1: half the time of level 5 or less, for a quarter more bytes of a keyed chain
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)
    errors.install(app)
    for area in AREAS:
        app.include_router(area.router)
    openapi.install(app)
    return app
