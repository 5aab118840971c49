"""What a protocol is to the server: reading a request, and putting a reply into its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_servers.llm.errors import Provider, body_of_error
from fake_servers.llm.orders import Order, Reply
from fake_servers.llm.sse import data

__all__ = ["STEP", "Dialect", "Part"]

#: An event as its bytes, or `STEP`.
Part = bytes | None
STEP: Final = None  #: stands among a stream's events where the model takes the time for its next token


class Dialect:
    """One endpoint's protocol. Holds no state."""

    provider: Provider = Provider.OPENAI

    def read(self, body: Mapping[str, Any]) -> Order:
        """What a decoded request asks for.

        Raises:
            Invalid: a field is missing or wrong.
        """
        raise NotImplementedError

    def whole(self, reply: Reply) -> dict[str, Any]:
        """The reply as one JSON object."""
        raise NotImplementedError

    def events(self, reply: Reply) -> Iterator[Part]:
        """The reply as a stream's events, one for each part, with a `STEP` before each token's."""
        raise NotImplementedError

    def failure(self, reply: Reply, status: int, message: str, sent: int) -> bytes:
        """The event by which a stream fails after ``sent`` events."""
        return data(body_of_error(self.provider, status, message))
