"""Recordings of failing tests: what is in one, where it lies, and how it is served again. See docs/replay.md."""
