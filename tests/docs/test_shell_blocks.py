"""The commands that the pages show are understood by the programs that they call."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
import tomlkit
from packaging.requirements import Requirement

from pytest_httpconc.cli import make_parser
from pytest_httpconc.commands import COMMANDS

ROOT = Path(__file__).parents[2]
EXTRAS = set(tomlkit.parse((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
#: Programs whose options are nobody's business here.
OTHERS = {"adev", "cd", "curl", "export", "git", "locust", "mkdocs", "npm", "sh", "tox"}


@pytest.fixture
def problem(pytester):
    """Read a command as its program would; give what is wrong with it, or nothing."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.mkdir("docs")  # what is written goes to a folder that is there

    def problem(words):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                _read(words, pytester.parseconfig)
        except (AssertionError, SystemExit, pytest.UsageError) as error:
            return f"{shlex.join(words)}: {said.getvalue() or error}"
        return ""

    return problem


def _read(words, read_by_pytest):
    match [Path(words[0]).name, *words[1:]]:
        case ["httpconc", *arguments] | [("python" | "python3"), "-m", "pytest_httpconc", *arguments]:
            end = [*arguments, "--"].index("--")
            make_parser().parse_args(arguments[:end])
            if arguments[end + 1 :]:  # which it runs
                _read(arguments[end + 1 :], read_by_pytest)
        case ["pytest", *arguments]:
            read_by_pytest(*arguments)
        case ["pip", "install", *arguments] | [("python" | "python3"), "-m", "pip", "install", *arguments]:
            for extras in re.findall(r"^(?:\.|pytest-httpconc)\[(.+)\]$", "\n".join(arguments), re.MULTILINE):
                assert Requirement(f"it[{extras}]").extras <= EXTRAS
        case [("python" | "python3"), "-m", "venv", _]:
            pass
        case [("python" | "python3"), script, *_]:
            assert (ROOT / script).is_file(), f"there is no {script}"
        case [program, *_]:
            assert program in OTHERS or program.isupper(), "no such program is known"


def _commands(text):
    """The commands of a script, each as its words, without redirections and variables that are set for it."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command, place = [], ""
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|") and command:
                yield command
                command = []
            elif not (set(word) <= set(";&|<>") or set(place) & set("<>") or (not command and "=" in word)):
                command.append(word)
            place = word


def _problems(problem, scripts):
    return [f"{block}: {found}" for block, text in scripts for words in _commands(text) if (found := problem(words))]


def test_commands_are_understood(blocks, problem):
    scripts = [(block, block.text) for block in blocks if block.language == "sh"]
    assert scripts
    assert _problems(problem, scripts) == []


def test_commands_of_ci_and_tox_are_understood(blocks, problem):
    step = re.compile(r"^(?: *- (?:run: )?|commands = )((?:pip|pytest|httpconc) .+)$", re.MULTILINE)
    files = [(block, re.sub(r"\$\{\{.+?\}\}", "main", block.text)) for block in blocks]
    scripts = [(file, line) for file, text in files if file.language in {"yaml", "ini"} for line in step.findall(text)]
    assert scripts
    assert _problems(problem, scripts) == []


def test_commands_in_prose_are_understood(commands_in_prose, problem):
    """Those that are called with something; a bare name only has to be one. Capitals stand for anything."""
    names = {command.__name__.rpartition(".")[2] for command in COMMANDS} | {"COMMAND"}
    assert [f"{page}: {code}" for page, code in commands_in_prose if code.split()[1] not in names] == []
    calls = [(page, code) for page, code in commands_in_prose if len(code.split()) > 2]
    assert [found for found in _problems(problem, calls) if not re.search(r": '[A-Z]+'", found)] == []


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("A=1 httpconc demo -v >out.txt && curl -N x", [["httpconc", "demo", "-v"], ["curl", "-N", "x"]]),
        ("pip install \\\n  '.[test]'  # both", [["pip", "install", ".[test]"]]),
    ],
)
def test_script_is_taken_apart_as_a_shell_does(script, commands):
    assert list(_commands(script)) == commands


@pytest.mark.parametrize(
    "command",
    ["httpconc explain HC999", "httpconc nothing", "pytest --no-such-option", "pip install '.[nothing]'", "rm -r x"],
)
def test_command_that_its_program_would_refuse_is_a_problem(problem, command):
    assert problem(shlex.split(command))
