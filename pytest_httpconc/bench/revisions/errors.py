"""Why two revisions can't be compared; each kind has an exit status of its own."""

from __future__ import annotations

__all__ = ["BadRevision", "CompareError", "NoBenchmarks", "NoRepository", "NotBuilt", "WorkerDied"]


class CompareError(Exception):
    """Two revisions can't be compared; the message is one line."""

    exit_status = 24


class NoRepository(CompareError):
    """The folder is in no git repository."""

    exit_status = 20


class BadRevision(CompareError):
    """The repository has no such revision."""

    exit_status = 21


class NotBuilt(CompareError):
    """A revision can't be installed, or what is imported is not it."""

    exit_status = 22


class NoBenchmarks(CompareError):
    """There is nothing to measure."""

    exit_status = 23


class WorkerDied(CompareError):
    """The process that ran a revision's benchmarks is gone."""

    exit_status = 24
