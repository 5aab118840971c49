"""The command line as a whole: help, errors of one line, and nothing left of what was interrupted."""

import argparse
import os
import re
import shlex
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
    lines = [line.strip() for line in PARSERS[name].format_help().splitlines()]
    examples = [line for line in lines if line.startswith(f"httpconc {name}".rstrip()) and "COMMAND" not in line]
    assert examples
    for example in examples:
        command = re.split(r"  | >+ ", example)[0]  # what follows is told to the reader, or the shell
        cli._parsed(cli.make_parser(), shlex.split(command, comments=True)[1:])


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
        (["proxy", "--dashboard", "http://127.0.0.1:8000"], "without one, --dashboard stands last"),
        (["serve", "http", "--tls", "--address=a..b"], "address='a..b' can't stand in a certificate (Empty Label)"),
        (["serve", "http", "--fault", "Status(503, {[1]: 2})"], "argument --fault: 'Status(503, {[1]: 2})' can't be"),
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


@pytest.mark.parametrize(
    ("place", "read"),
    [("0", ("127.0.0.1", 0)), ("0.0.0.0:8090", ("0.0.0.0", 8090)), ("[::1]:8090", ("::1", 8090))],
)
def test_place_of_the_dashboard_is_a_port_or_an_address_with_one(place, read):
    assert cli.make_parser().parse_args(["serve", "http", "--dashboard", place]).dashboard == read


@pytest.mark.parametrize("place", [":8090", "::1:8090", "a b:0", "[::1]", "[]:0", "storm.json"])
def test_place_that_is_none_is_not_every_interface(capsys, place):
    with pytest.raises(SystemExit):
        cli.make_parser().parse_args(["serve", "http", "--dashboard", place])
    assert f"{place!r} is no port; allowed are PORT and ADDRESS:PORT" in capsys.readouterr().err


def test_what_follows_two_dashes_is_a_command_only_where_one_is_run():
    parser = cli.make_parser()
    assert cli._parsed(parser, ["monitor", "--", "9527"]).targets == cli._parsed(parser, ["monitor", "9527"]).targets
    replay = cli._parsed(parser, ["replay", "storm.json", "--", "sh", "-c", "x", "--", "y"])
    assert (str(replay.file), replay.to_run) == ("storm.json", ["sh", "-c", "x", "--", "y"])


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
