"""Servers that run by hand, shown while they serve: a line for each exchange, and a summary at the end."""
