"""Bodies about restart patterns."""

from pydantic import BaseModel


class AddRestartPatterns(BaseModel):
    """``POST /networks/{network}/restartpatterns/add``."""

    patterns: list[str]
    num_allowed_restarts: int


class SetRestartPatternsMaxRetries(BaseModel):
    """``POST /networks/{network}/restartpatterns/maxretries``."""

    patterns: list[str]
    max_retries: int


class RestartPatterns(BaseModel):
    """``POST /networks/{network}/restartpatterns/remove``."""

    patterns: list[str]
