"""Faults in the events of a stream: parts in, the same parts out but for what is to go wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Final

from fake_servers.answers import close
from fake_servers.faults import AtMoment, DuplicateEvent, Fault, Heartbeats, InEvents, MalformedEvent

__all__ = ["garbled", "is_about_events"]

_HEARTBEAT: Final = b": heartbeat\n\n"


async def garbled(
    parts: AsyncIterable[bytes], fault: Fault, sleep: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """Yield a stream's parts as the fault has them; a fault of another kind changes nothing."""
    try:
        if isinstance(fault, InEvents):
            number = 0
            async for part, is_last in _numbered(parts, look_ahead=fault.event == -1):
                number += 1
                if fault.event == number or (is_last and fault.event == -1):
                    for piece in _replaced(part, fault):
                        yield piece
                else:
                    yield part
            return
        async for part in parts:
            yield part
        while isinstance(fault, Heartbeats):
            await sleep(fault.interval)
            yield _HEARTBEAT
    finally:
        await close(parts)


def is_about_events(fault: Fault | None) -> bool:
    """Whether a fault has to do with the events of a stream, so that its body is sent in chunks."""
    if isinstance(fault, AtMoment):
        return fault.after_events is not None
    return isinstance(fault, (InEvents, Heartbeats))


async def _numbered(parts: AsyncIterable[bytes], *, look_ahead: bool) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each part that is not empty, and whether it is known to be the last, which takes a look at the next."""
    kept: bytes | None = None
    async for part in parts:
        if not part:
            continue
        if not look_ahead:
            yield part, False
            continue
        if kept is not None:
            yield kept, False
        kept = part
    if kept is not None:
        yield kept, True


def _replaced(part: bytes, fault: InEvents) -> tuple[bytes, ...]:
    if isinstance(fault, DuplicateEvent):
        return part, part
    if isinstance(fault, MalformedEvent):
        return (part.rstrip(b"\n")[: max(1, len(part) // 2)] + b"\n\n",)
    return ()
