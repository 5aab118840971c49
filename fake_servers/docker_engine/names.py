"""Names: image references (distribution reference grammar), and the names and ids of containers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

__all__ = ["Reference", "container_name", "digest", "generated_name", "read_reference"]

_CONTAINER: Final = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST: Final = r"(?:[a-zA-Z0-9.-]+\.[a-zA-Z0-9.-]+(?::[0-9]+)?|[a-zA-Z0-9.-]+:[0-9]+|localhost)/"
_REFERENCE: Final = re.compile(
    rf"(?P<host>{_HOST})?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?",
    re.ASCII,
)
_LONGEST_REFERENCE: Final = 512
_ADJECTIVES: Final = ("bold", "calm", "eager", "fond", "great", "kind", "merry", "quirky", "vivid", "wise", "zen")
_NOUNS: Final = ("ada", "bell", "curie", "darwin", "euler", "fermi", "gauss", "hopper", "kepler", "lovelace", "noether")


def digest(text: str) -> str:
    """64 hexadecimal digits that depend on the text alone."""
    return sha256(text.encode()).hexdigest()


def generated_name(identity: str) -> str:
    """A name for a container that was given none."""
    number = int(identity[:12], 16)
    adjective, noun = _ADJECTIVES[number % len(_ADJECTIVES)], _NOUNS[number // 16 % len(_NOUNS)]
    return f"{adjective}_{noun}_{identity[:4]}"


def container_name(text: str) -> str:
    """A container's name without a slash before it.

    Raises:
        ValueError: the engine does not allow it.
    """
    if not _CONTAINER.fullmatch(text):
        raise ValueError(f"Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return text.removeprefix("/")


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository in its familiar form, with a tag, and perhaps a digest that goes before the tag."""

    repository: str
    tag: str = "latest"
    digest: str = ""

    @property
    def path(self) -> str:
        """The repository as a registry knows it: ``library/debian`` for ``debian``."""
        return self.repository if "/" in self.repository else f"library/{self.repository}"

    @property
    def tagged(self) -> str:
        """``repository:tag``."""
        return f"{self.repository}:{self.tag}"

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else self.tagged


def read_reference(text: str) -> Reference:
    """Read ``[host/]path[:tag][@digest]``; Docker Hub is left out, as is its ``library/``.

    Raises:
        ValueError: it is none.
    """
    found = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST_REFERENCE else None
    if found is None:
        if text != text.lower() and _REFERENCE.fullmatch(text.lower()):
            raise ValueError(f"invalid reference format: repository name ({text}) must be lowercase")
        raise ValueError("invalid reference format")
    host = found["host"] or ""
    path = found["path"]
    if host in {"docker.io/", "index.docker.io/"}:
        host, path = "", path.removeprefix("library/")
    elif not host:
        path = path.removeprefix("library/")
    return Reference(host + path, found["tag"] or "latest", found["digest"] or "")
