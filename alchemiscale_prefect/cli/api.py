"""``alchemiscale-prefect api``."""

from typing import Annotated

import typer


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8675,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info or debug.")] = "info",
) -> None:
    """Run the API server. Settings come from the environment (ALCHEMISCALE_…)."""
    import uvicorn

    from alchemiscale_prefect.api.app import create_app
    from alchemiscale_prefect.bootstrap import configure_logs, make_system, warn_of_database

    configure_logs()
    system = make_system()
    app = create_app(system)
    warn_of_database(system.database)
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level=log_level,
        timeout_graceful_shutdown=10,
        # refused logins are counted by address: it is the client's own only where a proxy that we know says so
        proxy_headers=bool(system.api.trusted_proxies),
        forwarded_allow_ips=system.api.trusted_proxies,
    )
