"""Deliberately wrong clients: each has one mistake from the field that a check must catch."""
