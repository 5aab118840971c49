"""Every contract in docs/contract.md passes as it stands there."""

import re
from pathlib import Path

import pytest

from pytest_httpconc.contract.base import Contract

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAMES = [re.search(r"class (\w+)\(", block).group(1) for block in BLOCKS]


@pytest.mark.parametrize("name", NAMES)
def test_contract_that_the_page_shows_passes(run, name):
    (block,) = [block for block in BLOCKS if f"class {name}(" in block]
    outcomes = run(block, "-o", "httpconc_grace=10").parseoutcomes()
    assert not {"failed", "errors", "xpassed"} & set(outcomes)
    assert outcomes["passed"] >= 50


def test_every_attribute_is_in_the_table():
    attributes = set(Contract.__annotations__)
    assert attributes == {name for name in attributes if f"`{name}`" in PAGE}
