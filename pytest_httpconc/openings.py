"""Where a client's socket was opened: the user's lines, the library in between, and the session that it is for."""

from __future__ import annotations

import http.client
import socket
import sysconfig
from asyncio import _get_running_loop
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple
from weakref import ref

from fake_servers import server as servers

__all__ = ["Opening", "Owner", "opening_at"]

_MOST_FRAMES: Final = 120
_MOST_PLACES: Final = 2
_RUNNERS: Final = frozenset({"_pytest", "pluggy", "pytest_asyncio"})

#: By the end of a file's path: the method by which sessions and clients send a request.
_METHODS_OF_OWNERS: Final = {
    "requests/sessions.py": "send",
    "httpx/_client.py": "send",
    "httpx2/_client.py": "send",
    "aiohttp/client.py": "_request",
    "urllib3/poolmanager.py": "urlopen",
}


class Owner:
    """A session or client of a known library, held weakly."""

    def __init__(self, owner: object) -> None:
        self._kind = type(owner)
        self._owner = ref(owner)

    @property
    def name(self) -> str:
        """The library and the class, as in ``requests.Session``."""
        return f"{self._kind.__module__.partition('.')[0]}.{self._kind.__name__}"

    @property
    def is_unclosed(self) -> bool:
        """Whether it is still there and was not closed."""
        owner = self._owner()
        return owner is not None and not _is_closed(owner)

    @property
    def is_closed(self) -> bool:
        """Whether it is still there and was closed."""
        owner = self._owner()
        return owner is not None and _is_closed(owner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owner) and self._owner == other._owner

    def __hash__(self) -> int:
        return hash(self._kind)


def _is_closed(owner: Any) -> bool:
    for name in ("is_closed", "closed"):  # httpx, aiohttp
        if isinstance(getattr(owner, name, None), bool):
            return bool(getattr(owner, name))
    managers = [owner, *(getattr(adapter, "poolmanager", None) for adapter in getattr(owner, "adapters", {}).values())]
    return not any(len(manager.pools) for manager in managers if hasattr(manager, "pools"))  # urllib3, requests


@dataclass(frozen=True, slots=True)
class Opening:
    """How a client's socket was opened.

    Args:
        places: file, line and function of the user's frames, the innermost first.
        library: the outermost package, not the user's, through which it was opened; empty if there is none.
        sock: a weak reference to the socket that was connected.
        fileno: its file descriptor, which a socket that TLS wraps around it takes over.
        timeout: the socket's timeout when it was connected, in seconds; None for no timeout, 0 where it does
            not block.
        in_loop: whether an event loop was running in the thread.
        thread: the thread that connected.
        speaks_http: whether it was opened through a library, and not by the user's own hands.
        owner: the session or client that had it opened.
    """

    places: tuple[tuple[str, int, str], ...]
    library: str
    sock: ref[socket.socket]
    fileno: int
    timeout: float | None
    in_loop: bool
    thread: int
    speaks_http: bool
    owner: Owner | None = None

    @property
    def blocks_loop(self) -> bool:
        """Whether a running event loop stands still while this socket is used."""
        return self.in_loop and self.timeout != 0

    def __str__(self) -> str:
        through = f", through {self.library}" if self.library else ""
        if not self.places:
            return f"opened in a task that is not the test's own{through}"
        path, line, name = self.places[0]
        called = f", called from {_shown(*self.places[1])}" if len(self.places) > 1 else ""
        return f"opened at {_shown(path, line, name)}{through}{called}"


def _shown(path: str, line: int, name: str) -> str:
    return f"{_relative(path)}:{line} in {name}"


def _relative(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def opening_at(sock: socket.socket, frame: FrameType | None) -> Opening:
    """How a socket is opened that connects in this frame.

    Walks up from a connect, through the library to the user's code; this is done for every connect, so it is lean.
    """
    places: list[tuple[str, int, str]] = []
    library, speaks_http = "", False
    owner: Owner | None = None
    steps = 0
    while frame is not None and len(places) < _MOST_PLACES and steps < _MOST_FRAMES:
        # Not f_code, where globals will do: each look at it is an audit event, which calls every hook.
        path = frame.f_globals.get("__file__") or frame.f_code.co_filename
        package, is_http, method_of_owner = _files.get(path) or _file(path)
        if package is None:
            code = frame.f_code
            places.append((code.co_filename, frame.f_lineno, _name(code)))
        elif package in _RUNNERS:
            break
        elif not places:
            library = package or library
            speaks_http = speaks_http or is_http
            if method_of_owner is not None and frame.f_code.co_name == method_of_owner:
                owner = _owner(frame) or owner
        frame = frame.f_back
        steps += 1
    in_loop = _get_running_loop() is not None
    held = ref(sock), sock.fileno(), sock.gettimeout()
    return Opening(tuple(places), library, *held, in_loop, get_ident(), speaks_http, owner)


def _owner(frame: FrameType) -> Owner | None:
    """The session whose method this frame runs."""
    owner = frame.f_locals.get("self")
    return None if owner is None else Owner(owner)


class _File(NamedTuple):
    """What is known of a file: its package, and whose method in it sends requests."""

    package: str | None
    speaks_http: bool
    method_of_owner: str | None


_files: dict[str, _File] = {}


def _file(path: str) -> _File:
    package = _package(str(path))
    method = next((method for end, method in _METHODS_OF_OWNERS.items() if Path(path).match(end)), None)
    found = _files[path] = _File(package, bool(package) or path == http.client.__file__, method)
    return found


def _name(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name)


_STANDARD: Final = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<")
#: The folders that packages are installed in, be they this environment's, the system's or another's on the path.
_INSTALLED: Final = ("site-packages", "dist-packages")
_OWN: Final = tuple(str(Path(file or "").parent) for file in (servers.__file__, __file__))


def _package(path: str) -> str | None:
    """The package that a library's file is of, empty for the standard library; None for the user's own code."""
    for own in _OWN:
        if path.startswith(own):
            return Path(own).name
    parts = Path(path).parts
    for folder in _INSTALLED:
        if folder in parts[:-1]:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return "" if path.startswith(_STANDARD) else None
