"""Findings and what servers saw, for people: as text for the terminal, as a page for the browser, as JSON."""
