"""The images of an engine: which there are, what pulling one looks like, and their JSON."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fake_servers.docker_engine.calls import EngineError
from fake_servers.docker_engine.filters import Filters
from fake_servers.docker_engine.names import Reference, digest, read_reference
from fake_servers.docker_engine.times import stamp

__all__ = ["IMAGE_FILTERS", "Image", "Images", "Pulls", "progress", "reference"]

IMAGE_FILTERS: Final = ("before", "dangling", "label", "reference", "since", "until")
DEFAULT_COMMAND: Final = ("sleep", "infinity")
_LAYER_SIZE: Final = 1024 * 1024
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_IDENTITY: Final = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")

Progress = dict[str, Any]


def reference(text: str) -> Reference:
    """Read an image's name.

    Raises:
        EngineError: 400, it is none.
    """
    try:
        return read_reference(text)
    except ValueError as error:
        raise EngineError(400, str(error)) from None


@dataclass(frozen=True, slots=True)
class Pulls:
    """What pulling an image is like.

    Args:
        layers: how many layers it has, which are shown one by one.
        layer_time: seconds that each takes.
        unknown: the images that no registry has, by a pattern that is searched for in ``name:tag``.
    """

    layers: int
    layer_time: float = 0.0
    unknown: re.Pattern[str] | None = None

    def have(self, wanted: Reference) -> bool:
        """Whether a registry has an image."""
        return self.unknown is None or self.unknown.search(str(wanted)) is None


@dataclass(slots=True, eq=False)
class Image:
    """An image: its id, where it came from, and the names that it has now."""

    id: str
    origin: Reference
    created_at: float
    layers: int
    tags: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.layers * _LAYER_SIZE

    @property
    def repo_digest(self) -> str:
        """The repository that it came from, and its digest there."""
        return f"{self.origin.repository}@{manifest_digest(self.origin)}"

    def summary(self) -> dict[str, Any]:
        """As in a list."""
        return {
            "Id": self.id,
            "ParentId": "",
            "RepoTags": list(self.tags),
            "RepoDigests": [self.repo_digest],
            "Created": int(self.created_at),
            "Size": self.size,
            "SharedSize": -1,
            "VirtualSize": self.size,
            "Labels": {},
            "Containers": -1,
        }

    def inspect(self) -> dict[str, Any]:
        """As when it is asked for alone."""
        command = list(DEFAULT_COMMAND)
        layers = [f"sha256:{digest(f'{self.id}/{number}')}" for number in range(self.layers)]
        return {
            "Id": self.id,
            "RepoTags": list(self.tags),
            "RepoDigests": [self.repo_digest],
            "Parent": "",
            "Comment": "",
            "Created": stamp(self.created_at),
            "Author": "",
            "Architecture": "amd64",
            "Os": "linux",
            "Size": self.size,
            "VirtualSize": self.size,
            "Config": {"Env": [_PATH], "Cmd": command, "Entrypoint": None, "Labels": {}, "WorkingDir": "/"},
            "GraphDriver": {"Name": "overlay2", "Data": {}},
            "RootFS": {"Type": "layers", "Layers": layers},
            "Metadata": {"LastTagTime": stamp(None)},
        }


def manifest_digest(origin: Reference) -> str:
    """The digest that a registry has for what a reference names."""
    return origin.digest or f"sha256:{digest(f'manifest {origin}')}"


class Images:
    """The images that are there, oldest first."""

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._images: list[Image] = []

    def __iter__(self) -> Iterator[Image]:
        return iter(tuple(self._images))

    def find(self, name: str) -> Image | None:
        """The image with a name, an id or the beginning of one."""
        identity = _IDENTITY.fullmatch(name)
        try:
            wanted = read_reference(name)
        except ValueError:
            wanted = None
        for image in self._images:
            if wanted is not None and _is_named(image, wanted):
                return image
        matches = [i for i in self._images if identity and i.id.startswith(f"sha256:{identity[1]}")]
        return matches[0] if len(matches) == 1 else None

    def get(self, name: str) -> Image:
        """The image with a name or id.

        Raises:
            EngineError: 404, there is none.
        """
        image = self.find(name)
        if image is None:
            shown = name if ":" in name or _IDENTITY.fullmatch(name) else f"{name}:latest"
            raise EngineError(404, f"No such image: {shown}")
        return image

    def add(self, origin: Reference, at: float) -> Image:
        """Have an image from a registry, unless it is there."""
        identity = f"sha256:{digest(f'image {origin}')}"
        image = next((image for image in self._images if image.id == identity), None)
        if image is None:
            image = Image(identity, origin, at, self._layers)
            self._images.append(image)
        if not origin.digest:
            self.tag(image, origin)
        return image

    def tag(self, image: Image, name: Reference) -> None:
        """Give an image a name, which another may lose by that."""
        for other in self._images:
            if name.tagged in other.tags:
                other.tags.remove(name.tagged)
        image.tags.append(name.tagged)

    def remove(self, image: Image, name: str) -> list[dict[str, str]]:
        """Take a name from an image, and the image away with its last name or when it is named by its id."""
        wanted = None if _IDENTITY.fullmatch(name) else reference(name)
        tags = [wanted.tagged] if wanted is not None and wanted.tagged in image.tags else list(image.tags)
        removed = [{"Untagged": tag} for tag in tags]
        image.tags = [tag for tag in image.tags if tag not in tags]
        if not image.tags:
            self._images.remove(image)
            removed.append({"Deleted": image.id})
        return removed

    def matching(self, filters: Filters) -> list[Image]:
        """The images that a list shows, latest first."""
        return [image for image in reversed(self._images) if _passes(image, filters)]


def _is_named(image: Image, wanted: Reference) -> bool:
    if wanted.digest:
        return image.repo_digest == str(wanted)
    return wanted.tagged in image.tags


def _passes(image: Image, filters: Filters) -> bool:
    dangling = filters.allows("dangling", lambda value: (value in {"true", "1"}) == (not image.tags))
    return dangling and filters.allows("reference", lambda value: _refers(value, image)) and not filters.get("label")


def _refers(pattern: str, image: Image) -> bool:
    wild = {"*": "[^/]*", "?": "[^/]"}
    regex = re.compile("".join(wild.get(mark) or re.escape(mark) for mark in pattern))
    return any(regex.fullmatch(tag) or regex.fullmatch(tag.rpartition(":")[0]) for tag in image.tags)


async def progress(
    wanted: Reference, layers: int, sleep: Callable[[], Awaitable[None]], *, is_new: bool
) -> AsyncGenerator[Progress, None]:
    """What the engine says while it pulls an image; ``sleep`` is awaited for each layer."""
    yield {"status": f"Pulling from {wanted.path}", "id": wanted.digest or wanted.tag}
    names = [digest(f"layer {wanted} {number}")[:12] for number in range(layers)]
    for name in names:
        yield {"status": "Pulling fs layer", "progressDetail": {}, "id": name} if is_new else _exists(name)
    for name in names if is_new else ():
        yield _downloading(name, _LAYER_SIZE // 2)
        await sleep()
        yield _downloading(name, _LAYER_SIZE)
        for status in ("Verifying Checksum", "Download complete", "Pull complete"):
            yield {"status": status, "progressDetail": {}, "id": name}
    yield {"status": f"Digest: {manifest_digest(wanted)}"}


def _exists(name: str) -> Progress:
    return {"status": "Already exists", "progressDetail": {}, "id": name}


def _downloading(name: str, current: int) -> Progress:
    detail = {"current": current, "total": _LAYER_SIZE}
    bar = f"[{'=' * (50 * current // _LAYER_SIZE - 1) + '>':<50}]"
    shown = f"{bar} {current:>8}B/{_LAYER_SIZE}B"
    return {"status": "Downloading", "progressDetail": detail, "progress": shown, "id": name}
