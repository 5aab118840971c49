"""Findings for people: so far, as text for the terminal."""
