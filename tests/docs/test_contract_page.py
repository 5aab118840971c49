"""The page of the contract names everything that can be said in one."""

from pathlib import Path

from pytest_httpconc.contract.base import Contract

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


def test_every_attribute_is_in_the_table():
    attributes = set(Contract.__annotations__)
    assert attributes == {name for name in attributes if f"`{name}`" in PAGE}
