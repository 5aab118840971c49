"""The TCP sockets of this machine, as the operating system lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psutil

from fake_servers.errors import ScenarioError
from pytest_httpconc.monitoring.targets import Target

__all__ = ["ABANDONED", "HELD", "LISTENING", "Address", "Socket", "is_process", "name_of", "sockets_for"]

Address = tuple[str, int]
LISTENING: Final = psutil.CONN_LISTEN
ABANDONED: Final = psutil.CONN_CLOSE_WAIT
#: States of a socket that its process still has to close.
HELD: Final = frozenset({psutil.CONN_ESTABLISHED, ABANDONED})

_MAPPED: Final = "::ffff:"  # an IPv4 address on a socket of IPv6 (RFC 4291, section 2.5.5.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One end of a connection, or a listening socket.

    Args:
        local: its own address.
        remote: the other end's; None where it listens.
        state: in the words of netstat, as in ``"ESTABLISHED"``.
        pid: of the process that has it; None where that is not visible, or where the kernel alone has it.
    """

    local: Address
    remote: Address | None
    state: str
    pid: int | None


def sockets_for(target: Target) -> list[Socket]:
    """The sockets among which those of a target are.

    Raises:
        ScenarioError: the process's sockets may not be seen, or it has ended.
    """
    if target.kind == "port":
        return _all()
    try:
        process = psutil.Process(target.number)
        family = [process, *process.children(recursive=True)]
        return [socket for member in family for socket in _of(member, must_be_seen=member is process)]
    except psutil.NoSuchProcess:
        raise ScenarioError(f"process {target.number} has ended") from None
    except psutil.AccessDenied:
        raise ScenarioError(
            f"the sockets of process {target.number} may not be seen by this user; be its user, or root, as in "
            f"sudo httpconc monitor pid:{target.number}"
        ) from None


def _all() -> list[Socket]:
    try:
        return [_socket(found, found.pid) for found in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:  # macOS shows all of them to root alone
        return [socket for process in psutil.process_iter() for socket in _of(process, must_be_seen=False)]


def _of(process: psutil.Process, *, must_be_seen: bool) -> Iterable[Socket]:
    try:
        return [_socket(found, process.pid) for found in process.net_connections(kind="tcp")]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        if must_be_seen:
            raise
        return []


def _socket(found: Any, pid: int | None) -> Socket:
    return Socket(
        local=_address(found.laddr), remote=_address(found.raddr) if found.raddr else None, state=found.status, pid=pid
    )


def _address(address: Any) -> Address:
    return address.ip.removeprefix(_MAPPED), address.port


def is_process(pid: int) -> bool:
    """Whether there is a process with this id."""
    return bool(psutil.pid_exists(pid))


def name_of(pid: int) -> str:
    """A process's name; empty where it has ended."""
    try:
        return psutil.Process(pid).name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
