"""Headers of ours, optional all of them: a client that does not send one is served as alchemiscale serves it."""

IDEMPOTENCY_KEY = "Idempotency-Key"
"""On a request that makes something: a text of the client's choice, another for every request. The same request sent
again with it makes nothing new and is answered as before, so that a request whose answer was lost may be sent again."""

MAX_IDEMPOTENCY_KEY_LENGTH = 200
