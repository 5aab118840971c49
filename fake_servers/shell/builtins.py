"""Commands on the shell itself and its environment: cd, export, exit, env, which, sleep and their kin."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from fake_servers.shell.commands import Command, Syntax, UsageError, usage_error
from fake_servers.shell.conditions import TEST_COMMANDS
from fake_servers.shell.expansion import SPECIAL_VARIABLES
from fake_servers.shell.files import FILE_COMMANDS
from fake_servers.shell.printf import PRINTING_COMMANDS
from fake_servers.shell.process import ExitShell, Process
from fake_servers.shell.syntax import UnsupportedError
from fake_servers.shell.text import TEXT_COMMANDS

BINARIES = ("/usr/bin/", "/bin/")
UNSUPPORTED_BUILTINS = frozenset(
    re.split(
        r"\s+",
        """. alias bg bind break builtin caller command compgen complete compopt continue declare dirs disown
        enable eval exec fc fg getopts hash help history jobs kill let local logout mapfile popd pushd read
        readarray readonly return set shift shopt source suspend times trap type typeset ulimit umask unalias
        wait""",
    )
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+|inf|infinity)([smhd]?)", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_EXPORT = Syntax("export", "pn", status=2)
_UNSET = Syntax("unset", "vf", status=2)
_WHICH = Syntax("which", "a", status=2)


def _builtin_error(process: Process, message: str, status: int = 1) -> UsageError:
    return UsageError(f"bash: line {process.line}: {message}", status=status)


def true(process: Process, args: list[str]) -> int:
    """Succeed."""
    return 0


def false(process: Process, args: list[str]) -> int:
    """Fail."""
    return 1


def pwd(process: Process, args: list[str]) -> int:
    """Print the working directory."""
    process.write(process.cwd + "\n")
    return 0


def cd(process: Process, args: list[str]) -> int:
    """Change the working directory: to HOME without an argument, back with `-`."""
    names = [arg for arg in args if arg not in ("--", "-P", "-L")]
    if len(names) > 1:
        raise _builtin_error(process, "cd: too many arguments")
    target = _cd_target(process, names[0] if names else None)
    path = process.directory(target)
    if not process.filesystem.is_dir(path):
        there = process.filesystem.exists(path)
        reason = "Not a directory" if there else "No such file or directory"
        raise _builtin_error(process, f"cd: {target}: {reason}")
    process.variables.export("OLDPWD", process.cwd)
    process.variables.export("PWD", path)
    process.cwd = path
    if names == ["-"]:
        process.write(path + "\n")
    return 0


def _cd_target(process: Process, name: str | None) -> str:
    if name not in (None, "-"):
        return name or "."
    variable = "HOME" if name is None else "OLDPWD"
    value = process.variables.values.get(variable)
    if value is None:
        raise _builtin_error(process, f"cd: {variable} not set")
    return value or "."


def exit_shell(process: Process, args: list[str]) -> int:
    """End this shell, or subshell, with a status."""
    if args and not re.fullmatch(r"[-+]?[0-9]{1,18}", args[0]):
        process.complain(f"bash: line {process.line}: exit: {args[0]}: numeric argument required")
        raise ExitShell(2)
    if len(args) > 1:
        process.complain(f"bash: line {process.line}: exit: too many arguments")
        raise ExitShell(1)
    raise ExitShell(int(args[0]) & 0xFF if args else process.status)


def export(process: Process, args: list[str]) -> int:
    """Make variables visible to commands; without arguments, list them."""
    options, operands = _EXPORT.parse(args)
    if not operands:
        lines = (f'declare -x {name}="{_escaped(value)}"\n' for name, value in sorted(_environment(process)))
        process.write("".join(lines))
    wrong = [operand for operand in operands if not _NAME.fullmatch(operand.partition("=")[0])]
    for operand in operands:
        if operand in wrong:
            process.complain(f"bash: line {process.line}: export: `{operand}': not a valid identifier")
        else:
            _export(process, operand, keep="n" not in options)
    return 1 if wrong else 0


def _export(process: Process, operand: str, *, keep: bool) -> None:
    name, equals, value = operand.partition("=")
    if name in SPECIAL_VARIABLES:
        raise UnsupportedError(process.line, f"variable `{name}'")
    if equals:
        process.variables.values[name] = value
    if keep:
        process.variables.exported.add(name)
    else:
        process.variables.exported.discard(name)


def _environment(process: Process) -> Iterable[tuple[str, str]]:
    return process.variables.environment().items()


def _escaped(value: str) -> str:
    return re.sub(r'[$`"\\]', r"\\\g<0>", value)


def unset(process: Process, args: list[str]) -> int:
    """Forget variables."""
    for name in _UNSET.parse(args)[1]:
        process.variables.unset(name)
    return 0


async def sleep(process: Process, args: list[str]) -> int:
    """Wait for the sum of the durations: seconds, or with a suffix minutes (m), hours (h) or days (d)."""
    _, operands = Syntax("sleep").parse_operands(args)
    found = [(text, _DURATION.fullmatch(text)) for text in operands]
    wrong = [text for text, match in found if not match]
    if wrong:
        raise usage_error("sleep", "\nsleep: ".join(f"invalid time interval ‘{text}’" for text in wrong))  # noqa: RUF001
    total = sum(float(match[1]) * _UNITS[match[2].lower()] for _, match in found if match)
    await process.sleep(min(total, math.inf))
    return 0


def which(process: Process, args: list[str]) -> int:
    """Print where commands are; fail if one of them is nowhere."""
    names = _WHICH.parse(args)[1]
    found = [name.rpartition("/")[2] for name in names if utility(name)]
    process.write("".join(f"{BINARIES[0]}{name}\n" for name in found))
    return 0 if names and len(found) == len(names) else 1


async def env(process: Process, args: list[str]) -> int:
    """Print the environment, or run a command in a changed one: `-i` empties it, `-u NAME` unsets."""
    position = _end_of_env_options(args)
    options, _ = Syntax("env", "i", "u", "u", status=125).parse(args[:position])
    variables = {} if "i" in options else process.variables.environment()
    for name in options.get("u", "").split("\n"):
        variables.pop(name, None)
    rest = args[position:]
    while rest and "=" in rest[0]:
        name, _, variables[name] = rest.pop(0).partition("=")
    if not rest:
        process.write("".join(f"{name}={value}\n" for name, value in variables.items()))
        return 0
    return await _run_with(process, variables, *rest)


def _end_of_env_options(args: list[str]) -> int:
    position = 0
    while position < len(args) and args[position].startswith("-"):
        position += 2 if args[position] == "-u" else 1
    return position


async def _run_with(process: Process, variables: dict[str, str], name: str, *args: str) -> int:
    command = utility(name)
    if not command:
        raise UsageError(f"env: ‘{name}’: No such file or directory", status=127)  # noqa: RUF001
    child = process.fork()
    child.variables.values = dict(variables)
    child.variables.exported = set(variables)
    return await call(child, name, command, list(args))


async def call(process: Process, name: str, command: Command, args: list[str]) -> int:
    """Run a command, and turn what it raises into a message and a status."""
    try:
        result = command(process, args)
        return result if isinstance(result, int) else await result
    except UsageError as error:
        process.complain(str(error))
        return error.status
    except OSError as error:
        process.complain(f"{name}: write error: {error.strerror}")
        return 1


def utility(name: str) -> Command | None:
    """The command with this name, or path below `/usr/bin` or `/bin`, that is not part of the shell alone."""
    for directory in BINARIES:
        name = name.removeprefix(directory)
    return UTILITIES.get(name)


UTILITIES: dict[str, Command] = {
    **FILE_COMMANDS,
    **TEXT_COMMANDS,
    **PRINTING_COMMANDS,
    **TEST_COMMANDS,
    "env": env,
    "false": false,
    "pwd": pwd,
    "sleep": sleep,
    "true": true,
    "which": which,
}
BUILTINS: dict[str, Command] = {":": true, "cd": cd, "exit": exit_shell, "export": export, "unset": unset}
