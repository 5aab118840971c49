"""Real clients keep the contract, as far as their examples say; async ones need no plugin for it."""

from pathlib import Path

import pytest

PATIENT = ("-o", "httpconc_grace=3")  # correct clients wait for nothing, but a busy machine may
FOLDER = Path(__file__).parents[2] / "examples" / "contracts"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("test_*.py")))
def test_real_client_keeps_the_contract(run, name):
    outcomes = run((FOLDER / f"{name}.py").read_text(), "-W", "error", *PATIENT).parseoutcomes()
    assert not {"failed", "errors", "xpassed", "skipped"} & set(outcomes)
    assert outcomes["passed"] + outcomes.get("xfailed", 0) >= 55


def test_there_are_examples_of_six_clients_and_three_sdks():
    names = {path.stem.removeprefix("test_") for path in FOLDER.glob("test_*.py")}
    assert {"requests", "httpx", "aiohttp"} | {"openai", "anthropic", "docker"} <= names
