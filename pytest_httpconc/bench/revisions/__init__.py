"""Two revisions of a package beside each other: ``httpconc compare``."""
