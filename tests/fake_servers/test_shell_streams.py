"""The shell with its output going where it is sent as it is produced, and its input arriving meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from fake_servers.shell import Incoming, Shell


class Sink:
    """Keeps what is written, and says so."""

    def __init__(self):
        self.parts = []
        self.written = asyncio.Event()

    def write(self, data):
        self.parts.append(data)
        self.written.set()


async def stream(command, *, stdin=None, shell=None):
    out, err = Sink(), Sink()
    status = await (shell or Shell(cwd="/work")).stream(command, stdout=out, stderr=err, stdin=stdin)
    return status, b"".join(out.parts), b"".join(err.parts)


def test_streams_are_apart():
    assert asyncio.run(stream("echo out; echo err >&2; nope; exit 3")) == (
        3,
        b"out\n",
        b"err\nbash: line 1: nope: command not found\n",
    )


def test_error_of_the_shell_itself_is_on_stderr():
    status, out, err = asyncio.run(stream("echo out\necho '"))
    assert (status, out) == (2, b"out\n")
    assert b"unexpected EOF" in err


def test_directory_that_is_missing_is_on_stderr():
    async def scenario():
        out, err = Sink(), Sink()
        return await Shell().stream("true", stdout=out, stderr=err, cwd="/nope"), out.parts, err.parts

    status, out, [err] = asyncio.run(scenario())
    assert (status, out) == (126, [])
    assert b"chdir to cwd" in err


def test_output_comes_as_it_is_produced():
    async def scenario():
        wake, out = asyncio.Event(), Sink()

        async def sleep(seconds):
            await wake.wait()

        task = asyncio.create_task(Shell(sleep=sleep).stream("echo a; sleep 9; echo b", stdout=out, stderr=out))
        await out.written.wait()
        before = list(out.parts)
        wake.set()
        await task
        return before, out.parts

    assert asyncio.run(scenario()) == ([b"a\n"], [b"a\n", b"b\n"])


@pytest.mark.parametrize("command", ["cat", "cat -", "cat | cat", "(cat)"])
def test_cat_reads_what_arrives(command):
    async def scenario():
        stdin, out = Incoming(), Sink()
        task = asyncio.create_task(Shell().stream(command, stdout=out, stderr=out, stdin=stdin))
        stdin.write(b"one ")
        if "|" not in command:
            await out.written.wait()
            assert out.parts == [b"one "]
        stdin.write(b"two")
        stdin.close()
        stdin.write(b"too late")
        assert await task == 0
        return b"".join(out.parts)

    assert asyncio.run(scenario()) == b"one two"


def test_other_commands_read_to_the_end():
    async def scenario():
        stdin = Incoming()
        task = asyncio.create_task(stream("wc -l; echo done", stdin=stdin))
        for line in (b"a\n", b"b\n"):
            stdin.write(line)
            await asyncio.sleep(0)
        stdin.close()
        return await task

    assert asyncio.run(scenario()) == (0, b"2\ndone\n", b"")


def test_lines_of_an_interactive_shell_share_their_state():
    async def scenario():
        stdin, out, err = Incoming(), Sink(), Sink()
        stdin.write(b"cd /tmp\nX=5\nnope\nfalse; echo '\nec")
        task = asyncio.create_task(Shell().interact(stdout=out, stderr=err, stdin=stdin))
        await err.written.wait()
        stdin.write(b"ho $X $(pwd)")
        stdin.close()
        return await task, b"".join(out.parts), b"".join(err.parts)

    status, out, err = asyncio.run(scenario())
    assert (status, out) == (0, b"5 /tmp\n")
    assert b"nope: command not found" in err
    assert b"unexpected EOF" in err


@pytest.mark.parametrize(("script", "expected"), [(b"exit 7\necho no\n", 7), (b"false\n", 1), (b"", 0)])
def test_interactive_shell_ends_with_exit_or_its_input(script, expected):
    async def scenario():
        stdin, out = Incoming(), Sink()
        stdin.write(script)
        stdin.close()
        return await Shell().interact(stdout=out, stderr=out, stdin=stdin), out.parts

    assert asyncio.run(scenario())[0] == expected


def test_terminal_shows_its_prompt():
    async def scenario():
        stdin, out = Incoming(), Sink()
        stdin.write(b"echo hi\n")
        stdin.close()
        await Shell().interact(stdout=out, stderr=out, stdin=stdin, prompt="# ")
        return b"".join(out.parts)

    assert asyncio.run(scenario()) == b"# hi\n# "


def test_tail_that_follows_never_ends_by_itself():
    async def scenario():
        slept = []

        async def sleep(seconds):
            slept.append(seconds)

        await Shell(sleep=sleep).run("tail -f /dev/null")
        return slept

    assert asyncio.run(scenario()) == [float("inf")]


@pytest.mark.parametrize(
    ("name", "obstacle"),
    [
        ("ls", ""),
        ("/bin/ls", ""),
        ("bash", ""),
        ("python", 'exec: "python": executable file not found in $PATH'),
        ("/opt/tool", 'exec: "/opt/tool": stat /opt/tool: no such file or directory'),
        ("/etc", 'exec: "/etc": /etc: permission denied'),
    ],
)
def test_what_keeps_a_program_from_running(name, obstacle):
    assert Shell().obstacle_to(name) == obstacle


def test_input_that_nobody_reads_is_held_back():
    async def scenario():
        stdin = Incoming()
        stdin.write(bytes(2 << 20))
        held = asyncio.create_task(stdin.drain())
        await asyncio.sleep(0)
        before = held.done()
        assert len(await stdin.part()) == 2 << 20
        await held
        stdin.write(bytes(2 << 20))
        last = asyncio.create_task(stdin.drain())
        await asyncio.sleep(0)
        stdin.close()
        await last
        return before

    assert asyncio.run(scenario()) is False
