"""Clients as the survey meets them."""

import pytest

from pytest_httpconc.survey.adapters import ADAPTERS
from pytest_httpconc.survey.plan import trials_of
from pytest_httpconc.survey.trials import conduct
from pytest_httpconc.sweeps.logs import records_without_frames


@pytest.fixture
def meet():
    """Have a client meet a fault: its cell."""

    def meet(client, trial_name, *, retries=True):
        adapter = ADAPTERS[client]
        [trial] = [trial for trial in trials_of(adapter) if trial.name == trial_name]
        with records_without_frames():
            return conduct(adapter, trial, retries=retries)

    return meet
