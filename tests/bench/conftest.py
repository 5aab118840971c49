"""What these tests share: rounds and figures made by hand."""

import pytest

from pytest_httpconc.bench.figures import Figures, Measurement, Round


@pytest.fixture
def a_round():
    """Make a round of some calls, with what is given in place of the rest."""

    def make(**given):
        usual = {"seconds": 0.1, "durations": (0.02,) * 10, "cpu": 0.001, "requests": 10, "executions": 10}
        return Round(**{**usual, "connections": 2, "peak_in_flight": 2, "service_time": 0.2, "makespan": 0.1, **given})

    return make


@pytest.fixture
def measured(a_round):
    """Make the measurement of a candidate whose rounds were alike but for what is given."""

    def make(*, relative_cpu=None, waking=None, exact_cpu=True, peak=2, virtual=False, **given):
        side = Figures.of([a_round(**given)] * 3, concurrency=2, peak=peak, virtual=virtual)
        return Measurement(candidate=side, relative_cpu=relative_cpu, waking=waking, exact_cpu=exact_cpu)

    return make
