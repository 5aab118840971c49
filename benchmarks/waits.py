"""How long the servers of short calls wait."""

#: Seconds before an answer, so that all sides and the reference wait alike: being woken up costs CPU too.
PAUSE = 0.005
