"""Runs parsed commands: lists, pipelines, subshells, assignments and redirections."""

from __future__ import annotations

import asyncio

from fake_servers.shell.builtins import BUILTINS, UNSUPPORTED_BUILTINS, call, utility
from fake_servers.shell.escapes import decode
from fake_servers.shell.expansion import SPECIAL_VARIABLES, Expander
from fake_servers.shell.filesystem import Directory
from fake_servers.shell.process import ExitShell, FileOutput, Input, Pipe, Process
from fake_servers.shell.syntax import (
    Assignment,
    Command,
    CommandList,
    CompoundCommand,
    ListItem,
    Literal,
    Pipeline,
    Redirection,
    Script,
    SimpleCommand,
    UnsupportedError,
    Word,
)

CANNOT_EXECUTE = 126
NOT_FOUND = 127
_COMMAND_COST = 1024  # bytes of the budget: bounds a command line of very many commands that print nothing


async def run_list(process: Process, commands: CommandList) -> int:
    """Run commands in order, and return the status of the last.

    Raises:
        ExitShell: a command ended the shell.
        ShellError: something that this shell does not support, or the budget is spent.
    """
    for item in commands:
        if _is_due(item, process.status):
            process.status = await _run_pipeline(process, item.pipeline)
    return process.status


def _is_due(item: ListItem, status: int) -> bool:
    return item.connector == ";" or (item.connector == "&&") == (status == 0)


async def _run_pipeline(process: Process, pipeline: Pipeline) -> int:
    if len(pipeline.commands) == 1:
        status = await _run_command(process, pipeline.commands[0])
    else:
        status = await _run_stages(process, pipeline.commands)
    return int(status == 0) if pipeline.negated else status


async def _run_stages(process: Process, commands: tuple[Command, ...]) -> int:
    """Run the commands of a pipe at the same time, each in a subshell; the last one's status counts."""
    pipes = [Pipe() for _ in commands[1:]]
    children = [
        process.fork(stdin=source, stdout=sink) for source, sink in zip((None, *pipes), (*pipes, None), strict=True)
    ]
    stages = [_run_stage(child, command) for child, command in zip(children, commands, strict=True)]
    results = await asyncio.gather(*stages, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, int)][-1]


async def _run_stage(process: Process, command: Command) -> int:
    output = process.outputs[1]
    try:
        return await _run_subshell(process, (ListItem(";", Pipeline((command,))),))
    finally:
        if isinstance(output, Pipe):
            output.close()


async def _run_subshell(process: Process, commands: CommandList) -> int:
    """Run commands in an environment that is theirs already; `exit` leaves only that."""
    try:
        return await run_list(process, commands)
    except ExitShell as leaving:
        return leaving.status


async def _run_command(process: Process, command: Command) -> int:
    process.budget.spend(_COMMAND_COST)
    with process.streams_restored():
        if isinstance(command, SimpleCommand):
            return await _run_simple(process, command)
        return await _run_compound(process, command)


async def _run_compound(process: Process, command: CompoundCommand) -> int:
    if not await _redirect_all(process, command.redirections):
        return 1
    if command.subshell:
        return await _run_subshell(process.fork(), command.body)
    return await run_list(process, command.body)


async def _run_simple(process: Process, command: SimpleCommand) -> int:
    process.line = command.line
    process.substituted = 0
    args = await _arguments(process, command.words)
    if not await _redirect_all(process, command.redirections):
        return 1
    if not args:
        await _assign(process, command.assignments)
        return process.substituted
    environment = {item.name: await _value(process, item) for item in command.assignments}
    with process.variables.overlaid(environment):
        return await _invoke(process, *args)


async def _assign(process: Process, assignments: tuple[Assignment, ...]) -> None:
    for assignment in assignments:
        process.variables.values[assignment.name] = await _value(process, assignment)


async def _value(process: Process, assignment: Assignment) -> str:
    if assignment.name in SPECIAL_VARIABLES:
        raise UnsupportedError(process.line, f"variable `{assignment.name}'")
    return await _expander(process).text(assignment.value)


async def _arguments(process: Process, words: tuple[Word, ...]) -> list[str]:
    """Expand words; those of `export` that assign are expanded like assignments, so never split."""
    expander = _expander(process)
    if words[:1] != ((Literal("export"),),):
        return await expander.fields(words)
    args: list[str] = []
    for word in words:
        name, value = _assignment(word)
        args += [name + await expander.text(value)] if name else await expander.fields([word])
    return args


def _assignment(word: Word) -> tuple[str, Word]:
    """The `name=` and the value of a word; the name is empty if the word is no assignment."""
    first = word[0]
    if not isinstance(first, Literal) or first.quoted or "=" not in first.text:
        return "", word
    name, _, start = first.text.partition("=")
    return f"{name}=", ((Literal(start),) if start else ()) + word[1:]


def _expander(process: Process) -> Expander:
    return Expander(process, lambda script: _substitute(process, script))


async def _substitute(process: Process, script: Script) -> str:
    pipe = Pipe()
    process.substituted = await _run_subshell(process.fork(stdout=pipe), script)
    if b"\0" in pipe.data:
        warning = "warning: command substitution: ignored null byte in input"
        process.complain(f"bash: line {process.line}: {warning}")
    return decode(bytes(pipe.data).replace(b"\0", b""))


async def _invoke(process: Process, name: str, *args: str) -> int:
    if name in UNSUPPORTED_BUILTINS:
        raise UnsupportedError(process.line, f"builtin `{name}'")
    command = BUILTINS.get(name) or utility(name)
    if command:
        return await call(process, name, command, list(args))
    reason, status = _why_not(process, name)
    process.complain(f"bash: line {process.line}: {name}: {reason}")
    return status


def _why_not(process: Process, name: str) -> tuple[str, int]:
    """Files have no execute permission here: nothing in the container is a program but the known commands."""
    if "/" not in name:
        return "command not found", NOT_FOUND
    try:
        node = process.filesystem.lookup(process.path(name))
    except OSError as error:
        return str(error.strerror), NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_EXECUTE
    return "Is a directory" if isinstance(node, Directory) else "Permission denied", CANNOT_EXECUTE


async def _redirect_all(process: Process, redirections: tuple[Redirection, ...]) -> bool:
    for redirection in redirections:
        targets = await _expander(process).fields([redirection.target])
        problem = "ambiguous redirect" if len(targets) != 1 else _redirect(process, redirection, targets[0])
        if problem:
            source = targets[0] if len(targets) == 1 else redirection.source
            process.complain(f"bash: line {process.line}: {source}: {problem}")
            return False
    return True


def _redirect(process: Process, redirection: Redirection, target: str) -> str:
    """Change the process's streams; what is returned is what is wrong, if anything."""
    try:
        if redirection.operator == ">&":
            return _duplicate(process, redirection, target)
        if redirection.operator == "<":
            process.stdin = Input(process.filesystem.read_bytes(process.path(target)))
        else:
            _open(process, redirection, target)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _open(process: Process, redirection: Redirection, target: str) -> None:
    special = {"/dev/stdout": 1, "/dev/stderr": 2}.get(target)
    if special:
        output = process.outputs[special]
    else:
        file = process.filesystem.open(process.path(target), truncate=redirection.operator == ">")
        output = FileOutput(process.filesystem, file)
    process.outputs.update(dict.fromkeys(redirection.descriptors, output))


def _duplicate(process: Process, redirection: Redirection, target: str) -> str:
    if target not in ("1", "2"):
        if target == "-":
            raise UnsupportedError(process.line, "closing a stream with `>&-'")
        return "Bad file descriptor"
    process.outputs.update(dict.fromkeys(redirection.descriptors, process.outputs[int(target)]))
    return ""
