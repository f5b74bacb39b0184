"""What a server says of itself, and what becomes of it when nobody can take note."""

import errno
import io
import sys
from typing import Any

import pytest

from alchemiscale_prefect.bootstrap import configure_logs


class FullDisk(io.StringIO):
    """Standard error in a file for which there is no room."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_ends_no_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured: dict[str, Any] = {}
    monkeypatch.setattr("structlog.configure", lambda **given: configured.update(given))
    configure_logs()
    logger = configured["logger_factory"]()
    with monkeypatch.context() as full:
        full.setattr(sys, "stderr", FullDisk())
        logger.warning("lost")
    # and when there is room again it goes on
    logger.warning("told")
    assert capsys.readouterr().err == "told\n"
