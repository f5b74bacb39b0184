"""Bodies about logging in."""

from pydantic import BaseModel


class Token(BaseModel):
    """The answer of ``POST /token``, as OAuth2 has it."""

    access_token: str
    token_type: str
