"""An in-memory file tree with the operations and the errors of a real one."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias, TypeVar

NODE_SIZE = 256  # bytes charged for each file and directory, so that empty ones are not free
MAX_NAME = 255
MAX_PATH = 4096
DEFAULT_CAPACITY = 64 * 1024 * 1024
STANDARD_DIRECTORIES = ("/dev", "/etc", "/home", "/opt", "/root", "/tmp", "/usr/bin", "/var/tmp")


@dataclass(slots=True, eq=False)
class File:
    """A regular file."""

    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True, eq=False)
class Directory:
    """A directory: its nodes by name."""

    entries: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class NullDevice:
    """`/dev/null`: empty to read, and swallows what is written."""


Node: TypeAlias = File | Directory | NullDevice
_New = TypeVar("_New", File, Directory, NullDevice)


def fail(code: int, path: str) -> NoReturn:
    """Raise the `OSError` of an `errno` code, about `path`."""
    raise OSError(code, os.strerror(code), path)


def absolute(path: str, cwd: str = "/") -> str:
    """The path from the root, `.` and `..` resolved by name alone, as `cd` does."""
    return "/" + posixpath.normpath(posixpath.join("/", cwd, path)).lstrip("/")


def _check_length(name: str, path: str) -> None:
    if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME or len(path) > MAX_PATH:
        fail(errno.ENAMETOOLONG, path)


def _cost(node: Node) -> int:
    return NODE_SIZE + (len(node.data) if isinstance(node, File) else 0)


class Filesystem:
    """The files of one container. Paths are taken from the root, with or without a leading slash.

    Every operation raises the `OSError` subclass of its POSIX counterpart (`FileNotFoundError`,
    `IsADirectoryError`, ...), `ENOSPC` when full.
    """

    def __init__(self, *, capacity: int = DEFAULT_CAPACITY) -> None:
        """Make the standard directories.

        Args:
            capacity: bytes that all files may take together, each node costing `NODE_SIZE` besides.
        """
        self._root = Directory()
        self._free = capacity
        for path in STANDARD_DIRECTORIES:
            self.makedirs(path)
        self._attach(*self._place("/dev/null"), NullDevice())

    def lookup(self, path: str) -> Node:
        """The node at `path`."""
        return self._resolve(path)

    def _resolve(self, path: str, *, create: bool = False) -> Node:
        """The node at `path`; with `create`, missing directories are made on the way."""
        if not path:
            fail(errno.ENOENT, path)
        trail: list[Node] = [self._root]
        for name in path.split("/"):
            here = trail[-1]
            if not isinstance(here, Directory):
                fail(errno.ENOTDIR, path)
            if name == "..":
                del trail[max(1, len(trail) - 1) :]
            elif name not in ("", "."):
                trail.append(self._entry(here, name, path, create=create))
        return trail[-1]

    def _entry(self, directory: Directory, name: str, path: str, *, create: bool) -> Node:
        if name in directory.entries:
            return directory.entries[name]
        _check_length(name, path)
        if not create:
            fail(errno.ENOENT, path)
        return self._attach(directory, name, Directory())

    def find(self, path: str) -> Node | None:
        """The node at `path`, or None if there is none."""
        try:
            return self.lookup(path)
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Whether anything is at `path`."""
        return self.find(path) is not None

    def is_dir(self, path: str) -> bool:
        """Whether `path` is a directory."""
        return isinstance(self.find(path), Directory)

    def is_file(self, path: str) -> bool:
        """Whether `path` is a regular file."""
        return isinstance(self.find(path), File)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        node = self.lookup(path)
        if not isinstance(node, Directory):
            fail(errno.ENOTDIR, path)
        return sorted(node.entries)

    def walk(self, path: str) -> Iterator[tuple[str, Node]]:
        """Everything at and below `path`, parents first, each with its path."""
        pending = [(path, self.lookup(path))]
        while pending:
            here, node = pending.pop()
            yield here, node
            if isinstance(node, Directory):
                names = sorted(node.entries, reverse=True)
                pending += [(posixpath.join(here, name), node.entries[name]) for name in names]

    def read_bytes(self, path: str) -> bytes:
        """A file's content."""
        node = self.lookup(path)
        if isinstance(node, Directory):
            fail(errno.EISDIR, path)
        return bytes(node.data) if isinstance(node, File) else b""

    def read_text(self, path: str) -> str:
        """A file's content as UTF-8, undecodable bytes replaced."""
        return self.read_bytes(path).decode("utf-8", "replace")

    def write(self, path: str, data: bytes | str, *, append: bool = False) -> None:
        """Create or overwrite a file, or append to it; text is written as UTF-8."""
        self.append(self.open(path, truncate=not append), data.encode() if isinstance(data, str) else data)

    def open(self, path: str, *, truncate: bool = False) -> File | NullDevice:
        """The file at `path`, created empty if there is none."""
        if path.endswith("/"):
            fail(errno.EISDIR, path)
        parent, name = self._place(path)
        node = parent.entries.get(name) or self._attach(parent, name, File())
        if isinstance(node, Directory):
            fail(errno.EISDIR, path)
        if truncate and isinstance(node, File):
            self._truncate(node)
        return node

    def _truncate(self, file: File) -> None:
        self._free += len(file.data)
        file.data.clear()

    def append(self, file: File | NullDevice, data: bytes) -> None:
        """Add to the end of an open file, also when it has been unlinked meanwhile."""
        if isinstance(file, File):
            self._take(len(data))
            file.data += data

    def mkdir(self, path: str) -> None:
        """Create a directory whose parent exists."""
        path = path.rstrip("/") or path[:1]
        if self.exists(path):
            fail(errno.EEXIST, path)
        self._attach(*self._place(path), Directory())

    def makedirs(self, path: str) -> None:
        """Create a directory and what is missing above it; no error if it is there already."""
        if not isinstance(self._resolve(path, create=True), Directory):
            fail(errno.EEXIST, path)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        if isinstance(self.lookup(path), Directory):
            fail(errno.EISDIR, path)
        self._detach(path)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        if self.listdir(path):
            fail(errno.ENOTEMPTY, path)
        self._detach(path)

    def rmtree(self, path: str) -> None:
        """Remove anything, with all that is in it."""
        self._detach(path)

    def rename(self, source: str, target: str) -> None:
        """Move `source` to `target`, replacing a file or an empty directory there."""
        node, present = self.lookup(source), self.find(target)
        if node is present:
            return
        if isinstance(node, Directory):
            self._refuse_inside(source, node, target)
        if present is not None:
            self._refuse_replacing(node, present, target)
            self._detach(target)
        into, name = self._place(target.rstrip("/"))
        out_of, old_name = self._place(source.rstrip("/"))
        into.entries[name] = out_of.entries.pop(old_name)

    def copy(self, source: str, target: str) -> None:
        """Copy a file, or a directory with all that is in it, over what may be at `target`."""
        source = source.rstrip("/") or "/"
        node = self.lookup(source)
        if node is self.find(target):
            return
        if isinstance(node, Directory):
            self._refuse_inside(source, node, target)
        pending: list[tuple[Node, Directory, str]] = [(node, *self._place(target.rstrip("/")))]
        while pending:
            found, into, name = pending.pop()
            copied = self._copy_node(found, into, name)
            if isinstance(found, Directory) and isinstance(copied, Directory):
                pending += [(child, copied, entry) for entry, child in found.entries.items()]

    def _copy_node(self, node: Node, into: Directory, name: str) -> Node:
        """Copy one node, of a directory not what is in it, over what may have that name."""
        present = into.entries.get(name)
        if isinstance(node, Directory):
            if present is not None and not isinstance(present, Directory):
                fail(errno.EEXIST, name)
            return present or self._attach(into, name, Directory())
        if isinstance(present, Directory):
            fail(errno.EISDIR, name)
        file = present or self._attach(into, name, File())
        if isinstance(file, File):
            self._truncate(file)
            self.append(file, bytes(node.data) if isinstance(node, File) else b"")
        return file

    def _refuse_inside(self, source: str, node: Directory, target: str) -> None:
        place = self._place(target.rstrip("/") or "/")[0]
        if any(found is place for _, found in self.walk(source)) or node is self._root:
            fail(errno.EINVAL, target)

    def _refuse_replacing(self, node: Node, present: Node, target: str) -> None:
        if isinstance(present, Directory):
            if not isinstance(node, Directory):
                fail(errno.EISDIR, target)
            if present.entries:
                fail(errno.ENOTEMPTY, target)
        elif isinstance(node, Directory):
            fail(errno.ENOTDIR, target)

    def _place(self, path: str) -> tuple[Directory, str]:
        """The directory that has, or would have, the last name of `path`, and that name."""
        head, name = posixpath.split(path)
        parent = self.lookup(head or "/")
        if not isinstance(parent, Directory):
            fail(errno.ENOTDIR, path)
        if name in ("", ".", ".."):
            fail(errno.EISDIR, path)
        _check_length(name, path)
        return parent, name

    def _attach(self, directory: Directory, name: str, node: _New) -> _New:
        self._take(NODE_SIZE)
        directory.entries[name] = node
        return node

    def _take(self, size: int) -> None:
        if size > self._free:
            fail(errno.ENOSPC, "")
        self._free -= size

    def _detach(self, path: str) -> None:
        freed = sum(_cost(node) for _, node in self.walk(path))
        parent, name = self._place(path.rstrip("/"))
        del parent.entries[name]
        self._free += freed
