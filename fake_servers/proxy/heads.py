"""Heads of answers, as the parser gives them."""

from __future__ import annotations

from dataclasses import dataclass

import h11

from fake_servers.http import RawHeaders

__all__ = ["SWITCHING", "Head"]

SWITCHING = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of an answer.

    Args:
        status: 100 to 999.
        fields: as they came.
        length: the body's ``Content-Length`` in bytes; None if there is none.
        is_framed: whether the end of the body can be told without the end of the connection.
        content_type: what the body is; empty if that is not said.
        content_encoding: how it is compressed; None if it is not.
    """

    status: int
    fields: RawHeaders
    length: int | None
    is_framed: bool
    content_type: str
    content_encoding: str | None

    @classmethod
    def of(cls, event: h11.Response | h11.InformationalResponse) -> Head:
        """That of an event of the parser's."""
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        length = texts.get("content-length")
        return cls(
            status=event.status_code,
            fields=tuple(event.headers.raw_items()),
            length=None if length is None else int(length),
            is_framed=length is not None or "transfer-encoding" in texts,
            content_type=texts.get("content-type", ""),
            content_encoding=texts.get("content-encoding"),
        )
