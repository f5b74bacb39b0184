"""Where the project's files are, for the tests of its architecture."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "alchemiscale_prefect"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def configuration() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def project_files(*patterns: str) -> list[Path]:
    """Files that git keeps, or would keep if they were added; with patterns, those that match one of them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for name in set(listing.split("\0")) if name and (path := ROOT / name).is_file())
