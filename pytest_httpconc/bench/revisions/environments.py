"""An environment for each revision: a ``venv`` that pip installs it into, and what measures it beside."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TextIO

import fake_servers
import pytest_httpconc
from pytest_httpconc.bench.revisions.children import child
from pytest_httpconc.bench.revisions.errors import NotBuilt
from pytest_httpconc.bench.revisions.trees import Tree

__all__ = ["Environment", "Needs"]

_DISTRIBUTION: Final = "pytest-httpconc"
_PACKAGES: Final = (fake_servers, pytest_httpconc)
_BUILDS: Final = ("pyproject.toml", "setup.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the benchmarks need beside the package.

    Args:
        extras: of the package.
        requirements: as pip takes them.
        inherit: whether an environment sees the packages of the running one; then only the package itself and
            ``requirements`` are installed.
    """

    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    inherit: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a revision is installed.

    Args:
        folder: of the environment; made by `build`.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def build(self, tree: Tree, needs: Needs, log: TextIO) -> None:
        """Install a revision.

        Args:
            tree: the revision.
            needs: what goes with it.
            log: takes what is said on the way.

        Raises:
            NotBuilt: it can't be installed.
        """
        if not any((tree.project / name).exists() for name in _BUILDS):
            raise NotBuilt(f"can't build {tree.label}: its folder has neither {' nor '.join(_BUILDS)}")
        with_pip = [] if find_spec("pip") is None else ["--without-pip"]
        self._run(tree, log, [sys.executable, "-m", "venv", *with_pip, str(self.folder)])
        if needs.inherit:
            self._see_running_packages()
        else:
            self._copy_harness()
        for arguments in _installs(tree, needs):
            self._run(tree, log, [*self._pip(), "install", "--disable-pip-version-check", *arguments])

    def _pip(self) -> list[str]:
        if find_spec("pip") is None:
            return [str(self.python), "-m", "pip"]
        return [sys.executable, "-m", "pip", "--python", str(self.python)]

    def _run(self, tree: Tree, log: TextIO, command: list[str]) -> None:
        log.flush()
        begun_at = log.tell()
        with child(command, folder=self.folder.parent, says=log) as process:
            status = process.wait()
        if status:
            said = Path(log.name).read_text(errors="replace")[begun_at:]
            raise NotBuilt(f"can't build {tree.label}: {_reason(said)}")

    def _site_packages(self) -> Path:
        scheme = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "posix_prefix", vars=scheme))

    def _see_running_packages(self) -> None:
        folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        lines = [f"import site; site.addsitedir({folder!r})\n" for folder in folders]
        (self._site_packages() / "httpconc_inherited.pth").write_text("".join(lines), encoding="utf-8")

    def _copy_harness(self) -> None:
        """This very package, which may be of no release; pip finds what it needs by its metadata."""
        target = self._site_packages()
        for package in _PACKAGES:
            folder = Path(str(package.__file__)).parent
            shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in distribution(_DISTRIBUTION).files or ():
            if file.parent.name.endswith(".dist-info") and len(file.parts) == 2:
                (target / file.parent).mkdir(exist_ok=True)
                shutil.copy2(str(file.locate()), target / file)


def _installs(tree: Tree, needs: Needs) -> Sequence[list[str]]:
    """The arguments of ``pip install``, one command after the other."""
    extras = f"[{','.join(needs.extras)}]" if needs.extras else ""
    package = f"{tree.project}{extras}"
    if not needs.inherit:
        harness = f"{_DISTRIBUTION}[bench]=={distribution(_DISTRIBUTION).version}"
        return [[package, harness, *needs.requirements]]
    alone = [["--no-deps", "--force-reinstall", str(tree.project)]]
    others = [*([package] if extras else []), *needs.requirements]
    return [*alone, others] if others else alone


def _reason(said: str) -> str:
    """The line of a log that tells the most."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no reason was given"])[-1]
