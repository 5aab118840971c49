"""The command line as a whole: help, errors of one line, and nothing left of what was interrupted."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from pytest_httpconc import cli

COMMAND = [sys.executable, "-m", "pytest_httpconc"]


def parsers(parser, names=()):
    """Every command's parser, by what is typed for it."""
    yield " ".join(names), parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield from parsers(each, (*names, name))


PARSERS = dict(parsers(cli.make_parser()))


@pytest.mark.parametrize("name", PARSERS)
def test_help_has_an_example_that_the_parser_takes(name):
    lines = PARSERS[name].format_help().splitlines()
    examples = [line.split() for line in lines if line.startswith(f"  httpconc {name}".rstrip())]
    assert examples
    assert {words[1] for words in examples} <= {known.split()[0] for known in PARSERS if known}


def test_nothing_asked_for_is_answered_with_help(capsys):
    assert cli.main([]) == 0
    assert capsys.readouterr().out.startswith("usage: httpconc ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["survey", "--write", "no-such-folder/page.md"],
            "argument --write: 'no-such-folder/page.md' can't be written",
        ),
        (["replay", "storm.json", "--dashboard", "--", "true"], "--json and --dashboard show what is served by hand"),
        (["replay", "no-such.json"], "httpconc replay: no-such.json can't be read: No such file"),
        (["replay", os.curdir], "httpconc replay: . can't be read: Is a directory"),
        (["serve", "http", "--dashboard", "x"], "argument --dashboard: 'x' is no port"),
        (["completion", "cmd"], "argument SHELL: invalid choice: 'cmd'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_error_is_one_line_and_a_status(capsys, arguments, problem):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert problem in err
    assert (out, err.count("\n")) == ("", 1)


class Interrupted(argparse.Namespace):
    command = "demo"

    def run(self, options):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "httpconc demo: interrupted\n"),
        (PermissionError(13, "Permission denied", "page.md"), 2, "httpconc demo: page.md: Permission denied\n"),
        (OSError("no space\nleft"), 2, "httpconc demo: no space left\n"),
    ],
)
def test_what_interrupts_a_command_is_told_in_one_line(monkeypatch, capsys, error, status, line):
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda parser, given: Interrupted(error=error))
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo"])
    assert ended.value.code == status
    assert capsys.readouterr().err == line


def test_reader_that_has_had_enough_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "completion", "bash"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
