"""Where the files of a failing test lie."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

__all__ = ["file_of", "forget", "put"]

_LONGEST_NAME: Final = 120


def file_of(folder: Path, test: str, suffix: str) -> Path:
    """The file of a test: its node id as a name that every file system takes, and no two tests share."""
    module, _, rest = test.partition("::")
    name = ".".join(part for part in (module.removesuffix(".py").replace("/", "."), *rest.split("::")) if part)
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")
    if safe != name or len(safe) > _LONGEST_NAME:
        safe = f"{safe[:_LONGEST_NAME]}-{blake2b(test.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
    return folder / f"{safe}{suffix}"


def put(path: Path, text: str) -> None:
    """Write a file, whole or not at all, in a folder that git does not see.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ignore = path.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def forget(folder: Path, test: str) -> None:
    """Remove what a test has left when it failed before."""
    for suffix in (".json", ".toml"):
        file_of(folder, test, suffix).unlink(missing_ok=True)
