"""From two revisions to results: both are built, their benchmarks run beside each other, and nothing is left."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fake_servers import FakeServer
from fake_servers.started import forget_server
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.revisions.channel import Message
from pytest_httpconc.bench.revisions.children import held_signals
from pytest_httpconc.bench.revisions.environments import Environment, Needs
from pytest_httpconc.bench.revisions.errors import NoBenchmarks, NotBuilt
from pytest_httpconc.bench.revisions.pairs import Pair
from pytest_httpconc.bench.revisions.remote import Worker, running_worker
from pytest_httpconc.bench.revisions.trees import Repository, Tree
from pytest_httpconc.bench.target import make_server
from pytest_httpconc.bench.verdicts import Verdict

__all__ = ["Compared", "Comparing"]

_WORKING_TREE: Final = "the working tree"
_PLUGIN: Final = "pytest_httpconc.bench.revisions.worker"
#: pytest without the current folder on the path: the package is to be the one that is installed.
_PYTEST: Final = "import sys; del sys.path[0]; import pytest; sys.exit(pytest.main(sys.argv[1:]))"


@dataclass(slots=True, kw_only=True)
class Compared:
    """What came of it.

    Args:
        results: of each measurement.
        failures: of tests, and of files that can't be collected, in the later revision, a sentence each.
        project: the folder that the results' files are in.
    """

    results: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    project: Path

    @property
    def has_compared(self) -> bool:
        """Whether a benchmark was measured in both revisions."""
        return any(result.verdict is not Verdict.NEW for result in self.results)

    @property
    def is_worse(self) -> bool:
        """Whether the later revision should not pass."""
        return bool(self.failures) or any(result.verdict is Verdict.WORSE for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What is to be compared, and how.

    Args:
        folder: of the project.
        base: the earlier revision.
        head: the later one; None for the working tree as it is.
        paths: files and folders of benchmarks, relative to the project; where there are none, what its
            configuration collects.
        needs: what the benchmarks need beside the package.
        say: is given lines of progress.
    """

    folder: Path
    base: str
    head: str | None
    paths: tuple[str, ...]
    needs: Needs
    say: Callable[[str], None]

    def run(self) -> Compared:
        """Build both, and compare all benchmarks of the later one; return what came of it.

        Raises:
            CompareError: it can't be done.
        """
        repository = Repository(self.folder)
        commits = [None if name is None else repository.commit(name) for name in (self.base, self.head)]
        with ExitStack() as stack:
            temporary = stack.enter_context(_temporary_folder())
            base = stack.enter_context(self._tree(repository, self.base, commits[0], temporary / "base"))
            head = stack.enter_context(self._tree(repository, self.head, commits[1], temporary / "head"))
            missing = [path for path in self.paths if not (head.project / path.partition("::")[0]).exists()]
            if missing:
                raise NoBenchmarks(f"{head.label} has no {', '.join(missing)}")
            commands = [self._built(tree, repository) for tree in (base, head)]
            server = stack.enter_context(make_server("thread"))  # this process does nothing else meanwhile
            forget_server(server)
            self.say("collecting benchmarks")
            later = stack.enter_context(_running(head, commands[1], server))
            found = self._benchmarks(later)
            base.take_over(head, self._shared_files(found))
            earlier = stack.enter_context(_running(base, commands[0], server))
            known = set(_own(earlier, earlier.collected())["names"])
            compared = Compared(project=head.project)
            compared.failures += [f"{file} can't be collected: {reason}" for file, reason in found["broken"].items()]
            self._compare(compared, found["names"], known, later, earlier)
            return compared

    def _tree(
        self, repository: Repository, revision: str | None, commit: str | None, folder: Path
    ) -> AbstractContextManager[Tree]:
        if revision is None or commit is None:
            return repository.copied(_WORKING_TREE, folder)
        label = revision if commit.startswith(revision) else f"{revision} ({commit[:8]})"
        return repository.checked_out(commit, label, folder)

    def _built(self, tree: Tree, repository: Repository) -> list[str]:
        """Build a revision; return the command that runs its benchmarks."""
        self.say(f"building {tree.label}")
        environment = Environment(tree.root.with_name(f"{tree.root.name}-environment"))
        with tree.root.with_name(f"{tree.root.name}-build.log").open("w+", encoding="utf-8") as log:
            environment.build(tree, self.needs, log)
        options = ["-p", _PLUGIN, "-p", "no:cacheprovider", "--benchmark", f"--rootdir={tree.project}"]
        options.append(f"--httpconc-foreign={repository.root}")
        return [str(environment.python), "-c", _PYTEST, *options, *self.paths]

    def _benchmarks(self, later: Worker) -> Message:
        """What the later revision has collected, which is something."""
        found = _own(later, later.collected())
        if not found["names"]:
            broken = "".join(f"; {file}: {reason}" for file, reason in found["broken"].items())
            places = " ".join(self.paths) or "what pytest collects"
            raise NoBenchmarks(f"{later.label} has no benchmarks in {places}{broken}")
        return found

    def _compare(self, compared: Compared, names: list[str], known: set[str], later: Worker, earlier: Worker) -> None:
        """Compare all benchmarks."""
        pair = Pair(later, earlier, self.say)
        for number, name in enumerate(names, 1):
            self.say(f"{name} ({number} of {len(names)})")
            compared.results += pair.compare(name, in_base=name in known)
            if later.outcome is not None and later.outcome.outcome == "failed":
                compared.failures.append(f"{name} fails in {later.label}: {later.outcome.reason}")

    def _shared_files(self, found: Message) -> Iterator[str]:
        """What both revisions have from the later one: the benchmarks, and how pytest is to run them."""
        yield from (path.partition("::")[0] for path in self.paths)
        for file in found["files"]:
            yield file
            yield from (str(folder / "conftest.py") for folder in Path(file).parents)
        if found["inifile"] is not None:
            yield found["inifile"]


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with held_signals():
        folder = Path(tempfile.mkdtemp(prefix="httpconc-compare-")).resolve()
    try:
        yield folder
    finally:
        with held_signals():
            shutil.rmtree(folder, ignore_errors=True)


def _running(tree: Tree, command: list[str], server: FakeServer) -> AbstractContextManager[Worker]:
    log = tree.root.with_name(f"{tree.root.name}-run.log")
    return running_worker(tree.label, command, folder=tree.project, server=server, log=log)


def _own(worker: Worker, found: Message) -> Message:
    """What a worker has collected, if what it imports is its own revision's."""
    if found["foreign"]:
        raise NotBuilt(
            f"{worker.label} would be measured with {found['foreign'][0]}, which is not its own: "
            "see what leads there, such as a path in the configuration"
        )
    return found
