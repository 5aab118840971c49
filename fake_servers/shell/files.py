"""Commands on files and directories: mkdir, ls, cp, mv, rm, rmdir, touch."""

from __future__ import annotations

import functools
import math
import posixpath
from collections.abc import Callable, Iterable

from fake_servers.shell.commands import Command, Syntax, UsageError, cannot, for_each
from fake_servers.shell.escapes import quoted, quoted_if_needed
from fake_servers.shell.filesystem import Directory, File, Node, absolute
from fake_servers.shell.process import Process

_BLOCK = 4096
_MKDIR = Syntax("mkdir", "p", long={"--parents": "p"})
_RM = Syntax("rm", "rRf", long={"--recursive": "r", "--force": "f"})
_RMDIR = Syntax("rmdir")
_TOUCH = Syntax("touch", "c", missing="missing file operand", long={"--no-create": "c"})
_CP = Syntax("cp", "rRafp", missing="missing file operand", long={"--recursive": "r", "--archive": "a"})
_MV = Syntax("mv", "f", missing="missing file operand", long={"--force": "f"})
_LS = Syntax("ls", "aA1ldh", status=2, long={"--all": "a", "--almost-all": "A", "--directory": "d"})


def mkdir(process: Process, args: list[str]) -> int:
    """Create directories; `-p` also their parents."""
    options, names = _MKDIR.parse_operands(args)
    make = process.filesystem.makedirs if "p" in options else process.filesystem.mkdir
    return for_each(
        process,
        names,
        lambda name: make(process.path(name)),
        lambda name, error: f"mkdir: cannot create directory ‘{name}’: {error.strerror}",  # noqa: RUF001
    )


def rmdir(process: Process, args: list[str]) -> int:
    """Remove empty directories."""
    _, names = _RMDIR.parse_operands(args)
    return for_each(
        process,
        names,
        lambda name: process.filesystem.rmdir(process.path(name)),
        lambda name, error: cannot("rmdir: failed to remove", name, error),
    )


def rm(process: Process, args: list[str]) -> int:
    """Remove files; `-r` also directories, `-f` without a word about what is not there."""
    options, names = _RM.parse(args)
    if not names and "f" not in options:
        raise _RM.error("missing operand")
    recursive = "r" in options or "R" in options
    protected = [name for name in names if recursive and _refuse_removal(process, name)]
    status = for_each(
        process,
        [name for name in names if name not in protected],
        lambda name: _remove(process, name, recursive=recursive, force="f" in options),
        lambda name, error: cannot("rm: cannot remove", name, error),
    )
    return 1 if protected else status


def _refuse_removal(process: Process, name: str) -> bool:
    if posixpath.basename(name.rstrip("/")) in (".", ".."):
        process.complain(f"rm: refusing to remove '.' or '..' directory: skipping {quoted(name)}")
    elif name and absolute(name, process.cwd) == "/":
        process.complain("rm: it is dangerous to operate recursively on '/'")
        process.complain("rm: use --no-preserve-root to override this failsafe")
    else:
        return False
    return True


def _remove(process: Process, name: str, *, recursive: bool, force: bool) -> None:
    try:
        remove = process.filesystem.rmtree if recursive else process.filesystem.unlink
        remove(process.path(name))
    except (FileNotFoundError, NotADirectoryError):
        if not force:
            raise


def touch(process: Process, args: list[str]) -> int:
    """Create empty files; times are not kept."""
    options, names = _TOUCH.parse_operands(args)
    return for_each(
        process,
        names,
        lambda name: _touch(process, process.path(name), create="c" not in options),
        lambda name, error: cannot("touch: cannot touch", name, error),
    )


def _touch(process: Process, path: str, *, create: bool) -> None:
    if create and not process.filesystem.is_dir(path):
        process.filesystem.open(path)


def cp(process: Process, args: list[str]) -> int:
    """Copy files; `-r` also directories."""
    options, names = _CP.parse_operands(args)
    recursive = not options.keys().isdisjoint("rRa")
    return _transfer(process, "cp", names, functools.partial(_copy, process, recursive=recursive))


def mv(process: Process, args: list[str]) -> int:
    """Rename files and directories, or move them into one."""
    _, names = _MV.parse_operands(args)
    return _transfer(process, "mv", names, functools.partial(_move, process))


def _transfer(process: Process, name: str, names: list[str], act: Callable[[str, str], None]) -> int:
    *sources, target = names
    if not sources:
        syntax = _CP if name == "cp" else _MV
        raise syntax.error(f"missing destination file operand after {quoted(target)}")
    into = process.filesystem.is_dir(process.path(target))
    if len(sources) > 1 and not into:
        raise UsageError(f"{name}: target {quoted(target)}: {_why_no_directory(process, target)}")
    status = 0
    for source in sources:
        base = posixpath.basename(source.rstrip("/"))
        try:
            act(source, posixpath.join(target, base) if into else target)
        except UsageError as error:
            process.complain(str(error))
            status = 1
    return status


def _why_no_directory(process: Process, target: str) -> str:
    there = process.filesystem.exists(process.path(target))
    return "Not a directory" if there else "No such file or directory"


def _stat(process: Process, command: str, name: str) -> Node:
    try:
        return process.filesystem.lookup(process.path(name))
    except OSError as error:
        raise UsageError(cannot(f"{command}: cannot stat", name, error)) from error


def _refuse_same(process: Process, command: str, source: str, target: str) -> Node:
    node = _stat(process, command, source)
    present = process.filesystem.find(process.path(target))
    if node is present:
        raise UsageError(f"{command}: {quoted(source)} and {quoted(target)} are the same file")
    if isinstance(node, Directory) and present and not isinstance(present, Directory):
        raise UsageError(f"{command}: cannot overwrite non-directory {quoted(target)} with directory {quoted(source)}")
    if isinstance(present, Directory) and not isinstance(node, Directory):
        raise UsageError(f"{command}: cannot overwrite directory {quoted(target)} with non-directory")
    return node


def _inside(process: Process, source: str, target: str) -> bool:
    inner, outer = absolute(target, process.cwd), absolute(source, process.cwd)
    return inner.startswith(outer.rstrip("/") + "/")


def _copy(process: Process, source: str, target: str, *, recursive: bool) -> None:
    node = _refuse_same(process, "cp", source, target)
    if isinstance(node, Directory) and not recursive:
        raise UsageError(f"cp: -r not specified; omitting directory {quoted(source)}")
    if isinstance(node, Directory) and _inside(process, source, target):
        raise UsageError(f"cp: cannot copy a directory, {quoted(source)}, into itself, {quoted(target)}")
    process.budget.spend(_size(node))
    kind = "directory" if isinstance(node, Directory) else "regular file"
    try:
        process.filesystem.copy(process.path(source), process.path(target))
    except OSError as error:
        raise UsageError(cannot(f"cp: cannot create {kind}", target, error)) from error


def _move(process: Process, source: str, target: str) -> None:
    node = _refuse_same(process, "mv", source, target)
    if isinstance(node, Directory) and _inside(process, source, target):
        raise UsageError(f"mv: cannot move {quoted(source)} to a subdirectory of itself, {quoted(target)}")
    try:
        process.filesystem.rename(process.path(source), process.path(target))
    except OSError as error:
        raise UsageError(cannot(f"mv: cannot move {quoted(source)} to", target, error)) from error


def ls(process: Process, args: list[str]) -> int:
    """List names one per line, in the order of their code points; `-l` with made-up owners and times."""
    options, names = _LS.parse(args)
    present = [name for name in names or ["."] if _is_there(process, name)]
    directories = [name for name in present if "d" not in options and process.filesystem.is_dir(process.path(name))]
    files = sorted(name for name in present if name not in directories)
    blocks = [_lines(process, ((name, process.path(name)) for name in files), options)] if files else []
    for name in sorted(directories):
        title = [f"{quoted_if_needed(name)}:"] if len(names) > 1 else []
        blocks.append([*title, *_directory_lines(process, process.path(name), options)])
    process.write("\n".join("".join(f"{line}\n" for line in block) for block in blocks))
    return 2 if len(present) < len(names or ["."]) else 0


def _is_there(process: Process, name: str) -> bool:
    try:
        process.filesystem.lookup(process.path(name))
    except OSError as error:
        process.complain(cannot("ls: cannot access", name, error))
        return False
    return True


def _directory_lines(process: Process, path: str, options: Iterable[str]) -> list[str]:
    names = process.filesystem.listdir(path)
    if "a" in options:
        names = [".", "..", *names]
    elif "A" not in options:
        names = [name for name in names if not name.startswith(".")]
    shown = [(name, f"{path.rstrip('/')}/{name}") for name in names]
    if "l" not in options:
        return _lines(process, shown, options)
    blocks = sum(math.ceil(_size(process.filesystem.lookup(path)) / _BLOCK) * 4 for _, path in shown)
    return [f"total {blocks}", *_lines(process, shown, options)]


def _lines(process: Process, shown: Iterable[tuple[str, str]], options: Iterable[str]) -> list[str]:
    if "l" not in options:
        return [name for name, _ in shown]
    rows = [(name, process.filesystem.lookup(path)) for name, path in shown]
    sizes = [_human(_size(node)) if "h" in options else str(_size(node)) for _, node in rows]
    width = max(map(len, sizes), default=0)
    return [_row(name, node, size.rjust(width)) for (name, node), size in zip(rows, sizes, strict=True)]


def _row(name: str, node: Node, size: str) -> str:
    mode = {Directory: "drwxr-xr-x", File: "-rw-r--r--"}.get(type(node), "crw-rw-rw-")
    links = 1
    if isinstance(node, Directory):
        links = 2 + sum(isinstance(entry, Directory) for entry in node.entries.values())
    return f"{mode} {links} root root {size} Jan  1 00:00 {quoted_if_needed(name)}"


def _size(node: Node) -> int:
    if isinstance(node, Directory):
        return _BLOCK
    return len(node.data) if isinstance(node, File) else 0


def _human(size: int) -> str:
    exponent = max(0, size.bit_length() - 1) // 10
    amount = size / 1024**exponent
    if exponent and amount <= 9.9:
        return f"{math.ceil(amount * 10) / 10:.1f}{'KMG'[exponent - 1]}"
    return f"{math.ceil(amount)}{'KMG'[exponent - 1] if exponent else ''}"


FILE_COMMANDS: dict[str, Command] = {
    "cp": cp,
    "ls": ls,
    "mkdir": mkdir,
    "mv": mv,
    "rm": rm,
    "rmdir": rmdir,
    "touch": touch,
}
