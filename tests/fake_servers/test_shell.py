"""The in-memory shell: every expectation is what bash 5.2 and coreutils 9.1 print and return."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers.shell import Completed, Shell


async def no_sleep(duration: float) -> None:
    """Pass the turn to other tasks at once."""
    await asyncio.sleep(0)


def run(command: str, *, shell: Shell | None = None, cwd: str = "", env: dict[str, str] | None = None) -> Completed:
    """Run a command in a container of its own, or in the given one."""
    return asyncio.run((shell or Shell(cwd="/srv", sleep=no_sleep)).run(command, cwd=cwd, env=env))


def output(command: str) -> str:
    """What a command prints that is expected to succeed."""
    completed = run(command)
    assert completed.returncode == 0, completed
    return completed.output


@pytest.fixture
def shell() -> Shell:
    """One container that lasts for the test."""
    return Shell(cwd="/srv", sleep=no_sleep)


class TestState:
    def test_files_survive_between_commands(self, shell: Shell) -> None:
        run("echo data >> file", shell=shell)
        run("echo data >> file", shell=shell)
        assert run("wc -l < file; cat file", shell=shell).output == "2\ndata\ndata\n"

    def test_a_second_mkdir_fails(self, shell: Shell) -> None:
        assert run("mkdir a", shell=shell) == Completed("", 0)
        again = run("mkdir a", shell=shell)
        assert again == Completed("mkdir: cannot create directory ‘a’: File exists\n", 1)  # noqa: RUF001

    def test_working_directory_and_variables_do_not_survive(self, shell: Shell) -> None:
        run("cd /tmp; export X=1", shell=shell)
        assert run('pwd; echo "[$X]"', shell=shell).output == "/srv\n[]\n"

    def test_containers_share_nothing(self, shell: Shell) -> None:
        run("echo a > /tmp/f", shell=shell)
        assert run("cat /tmp/f").returncode == 1

    def test_the_environment_of_the_container_and_of_the_command(self) -> None:
        shell = Shell(env={"A": "1", "B": "1"})
        assert run("echo $A $B $HOME", shell=shell, env={"B": "2"}).output == "1 2 /root\n"

    def test_a_relative_working_directory_starts_at_the_containers(self, shell: Shell) -> None:
        run("mkdir sub", shell=shell)
        assert run("pwd", shell=shell, cwd="sub").output == "/srv/sub\n"

    def test_a_missing_working_directory_is_the_container_runtimes_error(self) -> None:
        assert run("echo x", cwd="/nope") == Completed(
            "OCI runtime exec failed: exec failed: unable to start container process: "
            'chdir to cwd ("/nope") set in config.json failed: no such file or directory: unknown\n',
            126,
        )

    def test_files_can_be_put_in_and_read_from_outside(self, shell: Shell) -> None:
        shell.filesystem.write("/srv/in", "text\n")
        run("cat in in > out", shell=shell)
        assert shell.filesystem.read_text("/srv/out") == "text\ntext\n"
        assert shell.filesystem.listdir("/srv") == ["in", "out"]


class TestConcurrency:
    @staticmethod
    async def _until_sleeping(shell: Shell, command: str, sleeping: asyncio.Event) -> asyncio.Task[Completed]:
        sleeping.clear()
        task = asyncio.create_task(shell.run(command))
        await sleeping.wait()
        return task

    def test_commands_interleave_where_they_sleep(self) -> None:
        async def scenario() -> str:
            sleeping, wake = asyncio.Event(), asyncio.Event()

            async def sleep(duration: float) -> None:
                sleeping.set()
                await wake.wait()

            shell = Shell(sleep=sleep)
            first = await self._until_sleeping(shell, "echo 1 >> f; sleep 9; echo 3 >> f", sleeping)
            await shell.run("echo 2 >> f")
            wake.set()
            await first
            return shell.filesystem.read_text("/f")

        assert asyncio.run(scenario()) == "1\n2\n3\n"

    @pytest.mark.parametrize(
        "command",
        [
            "echo 1 > f; sleep 9; echo 2 >> f",
            "echo 1 > f; (sleep 9; echo 2 >> f)",
            "echo 1 > f; sleep 9 | cat; echo 2 >> f",
            "echo 1 > f; echo $(sleep 9; echo 2 >> f)",
        ],
    )
    def test_a_cancelled_command_leaves_the_files_as_they_are(self, command: str) -> None:
        async def scenario() -> str:
            sleeping = asyncio.Event()

            async def sleep(duration: float) -> None:
                sleeping.set()
                await asyncio.Event().wait()

            shell = Shell(sleep=sleep)
            task = await self._until_sleeping(shell, command, sleeping)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return shell.filesystem.read_text("/f")

        assert asyncio.run(scenario()) == "1\n"

    def test_the_commands_of_a_pipe_sleep_at_the_same_time(self) -> None:
        async def scenario() -> Completed:
            sleepers = 0
            all_asleep = asyncio.Event()

            async def sleep(duration: float) -> None:
                nonlocal sleepers
                sleepers += 1
                if sleepers == 3:
                    all_asleep.set()
                await all_asleep.wait()

            return await Shell(sleep=sleep).run("sleep 1 | sleep 1 | (sleep 1; echo done)")

        assert asyncio.run(scenario()) == Completed("done\n", 0)

    @pytest.mark.parametrize(
        ("arguments", "expected"), [("2", 2), (".5s", 0.5), ("1m", 60), ("0.5h", 1800), ("1 2m", 121)]
    )
    def test_sleep_awaits_the_injected_sleep(self, arguments: str, expected: float) -> None:
        slept: list[float] = []

        async def sleep(duration: float) -> None:
            slept.append(duration)

        run(f"sleep {arguments}", shell=Shell(sleep=sleep))
        assert slept == [expected]


class TestSyntax:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("echo a  b; echo -n c; echo -e 'x\\ty'", "a b\ncx\ty\n"),
            (
                "printf '%s-%s\\n' a b c; printf '%5d|%-3s|%05.1f|%x\\n' 42 a 3.14159 255",
                "a-b\nc-\n   42|a  |003.1|ff\n",
            ),
            ("X=5; (X=6; echo $X); echo $X; { X=7; }; echo $X", "6\n5\n7\n"),
            ("false || echo a && echo b; true && false || echo c", "a\nb\nc\n"),
            ("false; echo $?; ! false; echo $?; ! true; echo $?", "1\n0\n1\n"),
            ("echo $(echo a; echo b) \"$(printf 'a\\n\\nb\\n\\n')\" `echo c`", "a b a\n\nb c\n"),
            ("X='a   b'; echo $X \"$X\" '$X' \\$X", "a b a   b $X $X\n"),
            ('echo ${X:-d e} "${X:-d  e}" ${X:+alt} ${X:=set} $X ${X:+alt}', "d e d  e set set alt\n"),
            ("A=1 env | tail -n 1; echo [$A]", "A=1\n[]\n"),
            ("export A='x y'; env | tail -n 1; unset A; echo [$A]", "A=x y\n[]\n"),
            ("touch a.txt b.txt .h; echo * ?.txt '*' no*", "a.txt b.txt a.txt b.txt * no*\n"),
            ("mkdir d; touch d/x d/y; echo */* d/*; X='*'; echo $X \"$X\"", "d/x d/y d/x d/y\nd *\n"),
            ("echo a # comment\n# another\necho b#c", "a\nb#c\n"),
            ("echo a \\\nb; echo \"c\\\nd\" 'e\\\nf'", "a b\ncd e\\\nf\n"),
            ("echo a | cat | cat -; echo x | (cat; cat)", "a\nx\n"),
            ("ls nope 2> /dev/null; ls nope 2>&1 | wc -l; ls nope &> o; wc -l < o", "1\n1\n"),
            ("echo a > f; echo b >> f; cat < f; > f; wc -c f", "a\nb\n0 f\n"),
            ('printf \'<%s>\' "" $NOPE "$NOPE" \'\' "$@"', "<><><>"),
            ("echo ~ ~/x '~'; echo $'a\\tb'", "/root /root/x ~\na\tb\n"),
            ("X=$(false); echo $?; cd /tmp; cd - > /dev/null; pwd", "1\n/srv\n"),
            ("export A=$(echo x y) B=~/q; echo $A $B", "x y /root/q\n"),
        ],
    )
    def test_what_succeeds(self, command: str, expected: str) -> None:
        assert output(command) == expected

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("foo", Completed("bash: line 1: foo: command not found\n", 127)),
            ("true\n\nfoo 2>&1 | cat; foo", Completed("bash: line 3: foo: command not found\n" * 2, 127)),
            ("./nope", Completed("bash: line 1: ./nope: No such file or directory\n", 127)),
            ("/tmp", Completed("bash: line 1: /tmp: Is a directory\n", 126)),
            ("touch f; ./f", Completed("bash: line 1: ./f: Permission denied\n", 126)),
            ("cd nope", Completed("bash: line 1: cd: nope: No such file or directory\n", 1)),
            ("cat < nope", Completed("bash: line 1: nope: No such file or directory\n", 1)),
            ("X='a b'; echo > $X", Completed("bash: line 1: $X: ambiguous redirect\n", 1)),
            ("exit 300; echo no", Completed("", 44)),
            ("false; exit", Completed("", 1)),
            ("exit x", Completed("bash: line 1: exit: x: numeric argument required\n", 2)),
            ("(exit 3); echo $?; exit 4 | true; echo $?; true | exit 5", Completed("3\n0\n", 5)),
            ("export 1a=b", Completed("bash: line 1: export: `1a=b': not a valid identifier\n", 1)),
            ("echo ${a b}", Completed("bash: line 1: ${a b}: bad substitution\n", 1)),
        ],
    )
    def test_what_fails(self, command: str, expected: Completed) -> None:
        assert run(command) == expected

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            (
                "echo a; )",
                "bash: -c: line 1: syntax error near unexpected token `)'\nbash: -c: line 1: `echo a; )'\n",
            ),
            (
                "echo a\n;",
                "a\nbash: -c: line 2: syntax error near unexpected token `;'\nbash: -c: line 2: `;'\n",
            ),
            (
                ">",
                "bash: -c: line 1: syntax error near unexpected token `newline'\nbash: -c: line 1: `>'\n",
            ),
            (
                "echo (a)",
                "bash: -c: line 1: syntax error near unexpected token `a'\nbash: -c: line 1: `echo (a)'\n",
            ),
            ("echo a &&", "bash: -c: line 2: syntax error: unexpected end of file\n"),
            ("(echo a", "bash: -c: line 2: syntax error: unexpected end of file\n"),
            ('echo "a', "bash: -c: line 1: unexpected EOF while looking for matching `\"'\n"),
            ("fi", "bash: -c: line 1: syntax error near unexpected token `fi'\nbash: -c: line 1: `fi'\n"),
        ],
    )
    def test_syntax_errors_end_with_status_2(self, command: str, expected: str) -> None:
        assert run(command) == Completed(expected, 2)

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            ("if true; then echo; fi", "`if' commands"),
            ("for x in a b; do echo; done", "`for' loops"),
            ("while true; do echo; done", "`while' loops"),
            ("sleep 9 &", "background commands"),
            ("cat << EOF\nx\nEOF", "here-documents"),
            ("cat <<< x", "here-strings"),
            ("f() { echo; }", "function definitions"),
            ("mkdir {a,b}", "brace expansion `{a,b}'"),
            ("echo {1..3}", "brace expansion `{1..3}'"),
            ("echo $((1 + 1))", "arithmetic expansion"),
            ("[[ a = a ]]", "`[[' conditions"),
            ("a=(1 2)", "assignment `a=('"),
            ("echo ${#HOME}", "parameter"),
            ("echo ${HOME%x}", "parameter expansion `${HOME%x}'"),
            ("set -e", "builtin `set'"),
            ("eval echo", "builtin `eval'"),
            ("echo $RANDOM", "variable `RANDOM'"),
            ("IFS=,", "variable `IFS'"),
            ("cat 3< f", "file descriptor 3"),
        ],
    )
    def test_what_is_not_supported_says_so_and_fails(self, command: str, name: str) -> None:
        completed = run(f"{command}\necho survived")
        assert name in completed.output
        assert "not supported by this shell" in completed.output
        assert "survived" not in completed.output
        assert completed.returncode == 2


class TestCommands:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("cat n 'a b'", "cat: n: No such file or directory\ncat: 'a b': No such file or directory\n"),
            ("rm nope", "rm: cannot remove 'nope': No such file or directory\n"),
            ("mkdir d; rm d", "rm: cannot remove 'd': Is a directory\n"),
            ("mkdir -p d/e; rmdir d", "rmdir: failed to remove 'd': Directory not empty\n"),
            ("mkdir a/b", "mkdir: cannot create directory ‘a/b’: No such file or directory\n"),  # noqa: RUF001
            ("touch a/b", "touch: cannot touch 'a/b': No such file or directory\n"),
            ("touch f; mkdir f/d", "mkdir: cannot create directory ‘f/d’: Not a directory\n"),  # noqa: RUF001
            ("cp nope x", "cp: cannot stat 'nope': No such file or directory\n"),
            ("mkdir d; cp d x", "cp: -r not specified; omitting directory 'd'\n"),
            ("mkdir d; cp -r d d/e", "cp: cannot copy a directory, 'd', into itself, 'd/e'\n"),
            ("mkdir d; mv d d/e", "mv: cannot move 'd' to a subdirectory of itself, 'd/e'\n"),
            ("touch f; cp f f", "cp: 'f' and 'f' are the same file\n"),
            ("mkdir", "mkdir: missing operand\nTry 'mkdir --help' for more information.\n"),
            ("mkdir -q x", "mkdir: invalid option -- 'q'\nTry 'mkdir --help' for more information.\n"),
            ("sleep x", "sleep: invalid time interval ‘x’\nTry 'sleep --help' for more information.\n"),  # noqa: RUF001
            ("wc nope", "wc: nope: No such file or directory\n"),
            ("head -n x", "head: invalid number of lines: ‘x’\n"),  # noqa: RUF001
            ("tail nope", "tail: cannot open 'nope' for reading: No such file or directory\n"),
            ("rm -rf /", "rm: it is dangerous to operate recursively on '/'\n"
             "rm: use --no-preserve-root to override this failsafe\n"),
        ],
    )  # fmt: skip
    def test_failures_have_status_1_and_the_words_of_coreutils(self, command: str, expected: str) -> None:
        assert run(command) == Completed(expected, 1)

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("touch b a .h; mkdir d; ls; ls -a", "a\nb\nd\n.\n..\n.h\na\nb\nd\n"),
            ("mkdir p q; touch p/1 q/2 f; ls p q f", "f\n\np:\n1\n\nq:\n2\n"),
            ("echo abc > f; ls -l f", "-rw-r--r-- 1 root root 4 Jan  1 00:00 f\n"),
            ("mkdir -p a/b/c a; rm -r a; rm -f nope; ls", ""),
            ("echo x > s; cp s t; mv s u; cat t u; ls", "x\nx\nt\nu\n"),
            ("mkdir d; touch d/f; cp -r d e; cp -r d e; mv d/f .; ls e e/d d", "d:\n\ne:\nd\nf\n\ne/d:\nf\n"),
            (
                "printf 'a b\\nc\\n' > f; wc f; wc -l f; wc -w < f; cat f | wc",
                "2 3 6 f\n2 f\n3\n      2       3       6\n",
            ),
            (
                "printf '1\\n2\\n3\\n4\\n' > f; head -n 1 f; head -1 f; tail -n +4 f; tail -2 f | head -n -1",
                "1\n1\n4\n3\n",
            ),
            ("printf abcdef | head -c 3; printf abcdef | tail -c 2", "abcef"),
            ("touch f g; head f g", "==> f <==\n\n==> g <==\n"),
            ("which cat; which nope cd || echo no", "/usr/bin/cat\nno\n"),
            ("env -i A=1 env; env B=2 printf '%s\\n' x", "A=1\nx\n"),
            ("/bin/echo a; /usr/bin/printf b", "a\nb"),
            ("echo x > /dev/null; cat /dev/null; wc -c < /dev/null", "0\n"),
        ],
    )
    def test_what_succeeds(self, command: str, expected: str) -> None:
        assert output(command) == expected

    def test_ls_has_a_status_of_its_own(self) -> None:
        assert run("ls nope") == Completed("ls: cannot access 'nope': No such file or directory\n", 2)

    @pytest.mark.parametrize(
        ("condition", "status"),
        [
            ("-f f", 0), ("-f .", 1), ("-d .", 0), ("-e nope", 1), ("! -e nope", 0), ("-s f", 1),
            ("-z ''", 0), ("-n ''", 1), ("", 1), ("x", 0), ("a = a", 0), ("a != a", 1), ("! = x", 1),
            ("1 -eq 1", 0), ("2 -lt 10", 0), ("2 -ge 10", 1), ("1 -eq x", 2), ("-q x", 2), ("a b c d e", 2),
        ],
    )  # fmt: skip
    def test_conditions(self, condition: str, status: int) -> None:
        assert run(f"touch f; [ {condition} ]").returncode == status
        assert run(f"touch f; test {condition}").returncode == status


DOUBLING = [
    "x=aaaaaaaaaaaaaaaa;" + "x=$x$x;" * 60 + "echo $x",
    "echo aaaaaaaaaaaa > f;" + "cat f f > g; cat g g > f;" * 60,
    "mkdir d e; touch d/f;" + "cp -r d e; cp -r e d;" * 60 + "echo done",
]


class TestBounds:
    @pytest.mark.parametrize("opening", ["(", "( ", "$(", '"$(', "{ ", "${x:-", '"${x:-', "`", "! ", "[ ! "])
    def test_deep_nesting_is_refused_and_not_crashed_on(self, opening: str) -> None:
        assert 0 <= run(opening * 5000).returncode <= 255

    @pytest.mark.parametrize("opening", ["$(", "( ", "{ "])
    def test_reasonable_nesting_works(self, opening: str) -> None:
        closing = {"$(": ")", "( ": ")", "{ ": "; }"}[opening]
        word = "echo " if opening == "$(" else ""
        assert "a" in output(f"{word}{opening}" * 20 + "echo a" + closing * 20)

    @pytest.mark.parametrize("command", DOUBLING)
    def test_growth_ends(self, command: str) -> None:
        assert len(run(command).output) < 20_000_000

    def test_output_is_capped_at_16_mib(self) -> None:
        command = "printf '%4096d' " + "1 " * 256 + "> f; " + "cat f f f f f f f f > g; " + "cat g g g"
        assert len(run(command).output) == 16 * 1024 * 1024

    def test_a_full_disk_is_reported(self, shell: Shell) -> None:
        shell.filesystem.write("/big", b"x" * (63 << 20))
        shell.filesystem.write("/small", b"x" * (1 << 19))
        completed = run("cat /small > /out; echo $?", shell=shell)
        assert completed.output == "cat: write error: No space left on device\n1\n"

    def test_a_command_longer_than_an_argument_may_be_is_refused(self) -> None:
        completed = run("echo " + "x" * (128 * 1024))
        assert completed.returncode == 126
        assert "argument list too long" in completed.output


WORDS = """echo cat ls -la rm -rf mkdir -p cd cp -r mv head -n wc printf test [ ] export unset env
exit which true sleep 9 f d/f / .. * ? %d a* (a|b)* $x ${x:- } { " ' ` \\ $( ) ( | || && & ; > >> < 2>&1
x=1 ! $' # ~ << if for -1 300 é"""
FRAGMENTS = [*WORDS.split(), " ", "\n", "\0", "\ud800"]


@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(" ".join),
        st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join),
    ),
    st.sampled_from(["", "/tmp", "nope"]),
)
def test_any_text_completes_with_a_status(command: str, cwd: str) -> None:
    completed = run(command, cwd=cwd)
    assert 0 <= completed.returncode <= 255
    assert completed.output.encode("utf-8").decode("utf-8") == completed.output
