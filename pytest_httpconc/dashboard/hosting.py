"""The page served from a thread of its own, beside servers that run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Final

from aiohttp import web

from fake_servers import FakeServer, FakeServerError, ScenarioError
from pytest_httpconc.dashboard.app import make_app

__all__ = ["Dashboard"]

_LONGEST_START: Final = 30.0
_LONGEST_STOP: Final = 1.0


class Dashboard:
    """A live page of running servers: ``with Dashboard([server]) as dashboard`` serves it at ``dashboard.url``.

    Args:
        servers: what it shows; they must run for as long as it does.
        address: the address to listen on; whoever reaches it sees what clients send, and can inject faults.
        port: 1 to 65535; 0 takes a free one.

    Raises:
        ScenarioError: the address is empty.
    """

    def __init__(self, servers: Sequence[FakeServer], *, address: str = "127.0.0.1", port: int = 0) -> None:
        if not address:  # it would be that of every interface
            raise ScenarioError(f"address={address!r} is none; give one of this machine's, as in '127.0.0.1'")
        self._app = make_app(servers)
        self._address = address
        self._wanted = port
        self._listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()

    @property
    def url(self) -> str:
        """Where the page is."""
        _, _, port = self._listening.result(_LONGEST_START)
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"http://{address}:{port}/"

    def __enter__(self) -> Dashboard:
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="dashboard", daemon=True)
        self._thread.start()
        try:
            self._listening.result(_LONGEST_START)
        except (OSError, UnicodeError) as error:  # the latter of a name that is none
            why = getattr(error, "strerror", None) or error
            raise FakeServerError(f"the dashboard can't listen on {self._address}:{self._wanted}: {why}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop, ended, _ = self._listening.result()
        loop.call_soon_threadsafe(ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        ended = asyncio.Event()
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=_LONGEST_STOP)
        try:
            await runner.setup()
            await web.TCPSite(runner, self._address, self._wanted).start()
        except Exception as error:  # noqa: BLE001  # raised by whoever waits for it
            self._listening.set_exception(error)
        else:
            self._listening.set_result((asyncio.get_running_loop(), ended, runner.addresses[0][1]))
            await ended.wait()
        finally:
            await runner.cleanup()
