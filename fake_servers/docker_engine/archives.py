"""Files in and out of a container as tar archives."""

from __future__ import annotations

import base64
import bz2
import errno
import gzip
import io
import json
import lzma
import posixpath
import tarfile
import zlib
from typing import IO, Final

from fake_servers.docker_engine.times import stamp
from fake_servers.shell.filesystem import DEFAULT_CAPACITY, Directory, File, Filesystem, absolute

__all__ = ["BadArchive", "pack", "path_stat", "unpack"]

_OPENERS: Final = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_IS_DIRECTORY: Final = 1 << 31  # Go's os.ModeDir, which is how the engine writes modes
_SLACK: Final = 16 * 1024 * 1024


class BadArchive(ValueError):
    """What was sent is no archive, or has something in it that can't be kept."""


def path_stat(filesystem: Filesystem, path: str, at: float) -> str:
    """The header ``X-Docker-Container-Path-Stat`` of a path; ``at`` is its time, in seconds since 1970.

    Raises:
        OSError: there is nothing at the path.
    """
    node = filesystem.lookup(path)
    size = len(node.data) if isinstance(node, File) else 0
    mode = _IS_DIRECTORY | 0o755 if isinstance(node, Directory) else 0o644
    name = posixpath.basename(absolute(path)) or "/"
    described = {"name": name, "size": size, "mode": mode, "mtime": stamp(at), "linkTarget": ""}
    return base64.b64encode(json.dumps(described).encode()).decode()


def pack(filesystem: Filesystem, path: str, at: float) -> bytes:
    """An archive of a file, or of a directory with all that is in it, under its own name.

    Raises:
        OSError: there is nothing at the path.
    """
    path = absolute(path)
    above = posixpath.dirname(path)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for here, node in filesystem.walk(path):
            if isinstance(node, (File, Directory)):
                member = tarfile.TarInfo(posixpath.relpath(here, above) if here != "/" else "./")
                member.mtime = int(at)
                _add(archive, member, node)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, node: File | Directory) -> None:
    if isinstance(node, Directory):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    else:
        member.size, member.mode = len(node.data), 0o644
        archive.addfile(member, io.BytesIO(bytes(node.data)))


def unpack(filesystem: Filesystem, path: str, data: bytes) -> None:
    """Put an archive's files below a directory; it may be compressed with gzip, bzip2 or xz.

    Raises:
        BadArchive: it is none, or holds links or devices.
        OSError: a file can't be written.
    """
    plain = _decompressed(data)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                _extract(filesystem, path, archive, member)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, KeyError, RecursionError) as error:
        raise BadArchive(f"invalid archive: {error}") from None


def _decompressed(data: bytes) -> bytes:
    opener = next((opener for magic, opener in _OPENERS if data.startswith(magic)), None)
    if opener is None:
        return data
    limit = DEFAULT_CAPACITY + _SLACK
    try:
        with opener(io.BytesIO(data)) as stream:
            plain = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise BadArchive(f"invalid archive: {error}") from None
    if len(plain) > limit:
        raise OSError(errno.ENOSPC, "No space left on device")
    return bytes(plain)


def _extract(filesystem: Filesystem, path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    name = absolute(member.name.encode("utf-8", "replace").decode())
    target = posixpath.join(path, name.lstrip("/"))
    if member.isdir():
        filesystem.makedirs(target)
        return
    if not (member.isreg() or member.islnk()):
        raise BadArchive(f"{member.name!r} is neither a file nor a directory, and this server keeps nothing else")
    if member.size > DEFAULT_CAPACITY:
        raise OSError(errno.ENOSPC, "No space left on device")
    content: IO[bytes] | None = archive.extractfile(member)
    filesystem.makedirs(posixpath.dirname(target) or "/")
    filesystem.write(target, b"" if content is None else content.read())
