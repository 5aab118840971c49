"""The engine's calls on images."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fake_servers.docker_engine.calls import Call, EngineError, Routes
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.images import IMAGE_FILTERS, Progress, progress, reference
from fake_servers.docker_engine.names import Reference
from fake_servers.docker_engine.system_calls import json_lines
from fake_servers.http import Response, Stream

__all__ = ["ImageCalls"]


class ImageCalls:
    """Handlers of the calls on images."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.routes: Routes = {
            "POST /images/create": self._pull,
            "GET /images/json": self._list,
            "POST /images/prune": self._prune,
            "GET /images/{path}/json": self._inspect,
            "GET /images/{path}/history": self._history,
            "POST /images/{path}/tag": self._tag,
            "DELETE /images/{path}": self._remove,
        }

    async def _pull(self, call: Call) -> Stream:
        name, tag = call.text("fromImage"), call.text("tag")
        if not name:
            raise EngineError(400, "invalid reference format: parameter 'fromImage' is empty")
        separator = "@" if tag.startswith("sha256:") else ":"
        wanted = reference(f"{name}{separator}{tag}" if tag else name)
        if not self._daemon.pulls.have(wanted):
            raise EngineError(
                404,
                f"pull access denied for {wanted.repository}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied",
            )
        return Stream(json_lines(self._pulled(wanted), "\r\n"), content_type="application/json")

    async def _pulled(self, wanted: Reference) -> AsyncGenerator[Progress, None]:
        daemon = self._daemon
        is_new = daemon.images.find(str(wanted)) is None
        async for line in progress(wanted, daemon.pulls.layers, self._pause, is_new=is_new):
            yield line
        daemon.images.add(wanted, daemon.now())
        daemon.events.emit("image", "pull", str(wanted), {"name": wanted.repository, "image": str(wanted)})
        state = "Downloaded newer image" if is_new else "Image is up to date"
        yield {"status": f"Status: {state} for {wanted}"}

    async def _pause(self) -> None:
        await self._daemon.sleep(self._daemon.pulls.layer_time)

    async def _list(self, call: Call) -> Response:
        images = self._daemon.images.matching(call.filters(IMAGE_FILTERS))
        return Response.json([image.summary() for image in images])

    async def _inspect(self, call: Call) -> Response:
        return Response.json(self._daemon.images.get(call.name).inspect())

    async def _history(self, call: Call) -> Response:
        image = self._daemon.images.get(call.name)
        layer = {"Created": int(image.created_at), "CreatedBy": "pulled", "Size": image.size, "Comment": ""}
        return Response.json([{"Id": image.id, "Tags": image.tags or None, **layer}])

    async def _tag(self, call: Call) -> Response:
        image = self._daemon.images.get(call.name)
        repository, tag = call.text("repo"), call.text("tag")
        if not repository:
            raise EngineError(400, "invalid reference format: parameter 'repo' is empty")
        name = reference(f"{repository}:{tag}" if tag else repository)
        self._daemon.images.tag(image, name)
        self._daemon.events.emit("image", "tag", image.id, {"name": name.tagged, "image": name.tagged})
        return Response(status=201)

    async def _remove(self, call: Call) -> Response:
        images = self._daemon.images
        image = images.get(call.name)
        users = [c for c in self._daemon.containers.values() if c.image_id == image.id]
        if users and len(image.tags) < 2 and not call.flag("force"):
            raise EngineError(
                409,
                f'conflict: unable to remove repository reference "{call.name}" (must force) - '
                f"container {users[0].id[:12]} is using its referenced image {image.id[7:19]}",
            )
        removed = images.remove(image, call.name)
        for entry in removed:
            action = "untag" if "Untagged" in entry else "delete"
            self._daemon.events.emit("image", action, image.id, {"name": image.id, "image": call.name})
        return Response.json(removed)

    async def _prune(self, call: Call) -> Response:
        call.filters(("dangling", "label", "label!", "until"))
        return Response.json({"ImagesDeleted": None, "SpaceReclaimed": 0})
