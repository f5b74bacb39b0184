"""``python -m alchemiscale_prefect`` is the command line."""

from alchemiscale_prefect.cli import main

main()
