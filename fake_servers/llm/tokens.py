"""What a token is here, the same in every protocol: a word with the space before it."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Final

__all__ = ["count", "seeded", "seeded_text", "split"]

_TOKEN: Final = re.compile(r"\s*\S+|\s+")
_WORDS: Final = (
    *("a", "the", "this", "one", "each", "no", "some", "server", "client", "request", "answer", "queue", "token"),
    *("slot", "word", "line", "socket", "is", "was", "waits", "sends", "reads", "closes", "opens", "keeps", "takes"),
    *("and", "or", "but", "then", "here", "there", "soon", "late", "twice", "never", "first", "last", "small", "long"),
)


def split(text: str) -> tuple[str, ...]:
    """A text's tokens, which joined are the text again."""
    return tuple(_TOKEN.findall(text))


def count(text: str) -> int:
    """How many tokens a text has."""
    return sum(1 for _ in _TOKEN.finditer(text))


def seeded(*parts: object) -> Random:
    """A generator that is the same for the same parts, in every run."""
    return Random(digest(*parts))


@lru_cache(maxsize=4096)  # a stream tells its id with every event
def digest(*parts: object) -> str:
    """Hexadecimal digits that are the same for the same parts, in every run."""
    return sha256("/".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def seeded_text(length: int, *parts: object) -> str:
    """A text of ``length`` tokens that is the same for the same parts."""
    return " ".join(seeded(*parts).choices(_WORDS, k=length))
