"""Revisions of a git repository as folders of their own; the user's files and branches stay as they are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_httpconc.bench.revisions.children import held_signals
from pytest_httpconc.bench.revisions.errors import BadRevision, CompareError, NoRepository

__all__ = ["Repository", "Tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of a revision.

    Args:
        label: of the revision, as a person reads it.
        root: the folder that has them all.
        project: the folder in it that is built and whose benchmarks run.
    """

    label: str
    root: Path
    project: Path

    def take_over(self, other: Tree, files: Iterable[str]) -> None:
        """Have these files and folders as another tree has them; one that it lacks stays.

        Args:
            other: where they are copied from.
            files: relative to the project.
        """
        for name in files:
            source, target = other.project / name, self.project / name
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            elif source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


class Repository:
    """The git repository that a folder is in.

    Args:
        folder: the project's.

    Raises:
        NoRepository: it is in none, or there is no git.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self.root = Path(self._git("rev-parse", "--show-toplevel")).resolve()
        except (CompareError, FileNotFoundError) as error:
            raise NoRepository(f"{folder} is in no git repository ({error})") from None
        self._prefix = folder.resolve().relative_to(self.root)

    def commit(self, revision: str) -> str:
        """The commit that a revision is.

        Raises:
            BadRevision: there is none.
        """
        try:
            return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except CompareError:
            raise BadRevision(
                f"{revision!r} is no revision of {self.root}; a shallow clone has not all: git fetch --unshallow"
            ) from None

    @contextmanager
    def checked_out(self, commit: str, label: str, folder: Path) -> Iterator[Tree]:
        """A commit's files in a folder that does not exist yet, and is gone at the end."""
        try:
            with held_signals():  # git would leave a lock behind
                self._git("-c", "core.hooksPath=/dev/null", "worktree", "add", "-q", "--detach", str(folder), commit)
            yield Tree(label=label, root=folder, project=folder / self._prefix)
        finally:
            with held_signals():
                shutil.rmtree(folder, ignore_errors=True)
                self._git("worktree", "prune")

    @contextmanager
    def copied(self, label: str, folder: Path) -> Iterator[Tree]:
        """The working tree as it is, with what is not committed and what git does not ignore."""
        with self.checked_out(self.commit("HEAD"), label, folder) as tree:
            changed = self._paths("diff", "--name-only", "--no-renames", "HEAD")
            for name in changed + self._paths("ls-files", "--others", "--exclude-standard"):
                source, target = self.root / name, folder / name
                if source.is_symlink() or source.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    shutil.copy2(source, target, follow_symlinks=False)
                elif target.is_symlink() or target.is_file():
                    target.unlink()
            yield tree

    def _paths(self, *arguments: str) -> list[str]:
        """Relative to the root, as git prints them with ``-z``."""
        command, *others = arguments
        return [name for name in self._git("-C", str(self.root), command, "-z", *others).split("\0") if name]

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            start_new_session=True,  # a Ctrl-C is not git's to act on
        )
        if done.returncode:
            raise CompareError(f"git {arguments[0]}: {' '.join(done.stderr.split()) or 'failed'}")
        return done.stdout.rstrip("\n")
