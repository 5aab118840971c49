"""urllib3, aiohttp and docker-py."""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_httpconc.survey.adapters.kinds import Answer, Settings

__all__ = ["Aiohttp", "Docker", "Urllib3"]

_IMAGE: Final = "debian:12"
_API_VERSION: Final = "1.47"  # named, so that the client doesn't ask for it when it is made


class Urllib3:
    """``urllib3.PoolManager``."""

    def __init__(self, settings: Settings) -> None:
        import urllib3

        options: dict[str, Any] = {} if settings.retries else {"retries": False}
        if settings.timeout is not None:
            options["timeout"] = settings.timeout
        self._pool = urllib3.PoolManager(**options)
        self._url = settings.url

    def __enter__(self) -> Urllib3:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def post(self, text: str) -> Answer:
        response = self._pool.request("POST", f"{self._url}/echo", json={"text": text})
        return Answer(response.status, response.data.decode())

    def get(self) -> Answer:
        response = self._pool.request("GET", f"{self._url}/item")
        return Answer(response.status, response.data.decode())


class Aiohttp:
    """``aiohttp.ClientSession``; nothing turns its resends off, but without reuse no connection is stale."""

    def __init__(self, settings: Settings) -> None:
        import aiohttp

        options: dict[str, Any] = {}
        if not settings.retries:
            options["connector"] = aiohttp.TCPConnector(force_close=True)
        if settings.timeout is not None:
            options["timeout"] = aiohttp.ClientTimeout(total=settings.timeout)
        self._session = aiohttp.ClientSession(**options)
        self._url = settings.url

    async def __aenter__(self) -> Aiohttp:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, text: str) -> Answer:
        async with self._session.post(f"{self._url}/echo", json={"text": text}) as response:
            return Answer(response.status, await response.text())

    async def get(self) -> Answer:
        async with self._session.get(f"{self._url}/item") as response:
            return Answer(response.status, await response.text())


class Docker:
    """``docker.DockerClient``, which creates a container and asks for the engine's version."""

    def __init__(self, settings: Settings) -> None:
        import docker
        from docker.transport.basehttpadapter import BaseHTTPAdapter

        options: dict[str, Any] = {} if settings.timeout is None else {"timeout": settings.timeout}
        base_url = settings.url.replace("http://", "tcp://")
        self._client: Any = docker.DockerClient(base_url=base_url, version=_API_VERSION, **options)
        if not settings.retries:
            self._client.api.mount("http://", BaseHTTPAdapter(max_retries=0))

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, text: str) -> Answer:
        created = self._client.api.create_container(_IMAGE, ["echo", text])
        return Answer(200, " ".join(sorted(created)))

    def get(self) -> Answer:
        return Answer(200, json.dumps(self._client.version(), sort_keys=True))
