"""The quick way to a part of a field takes the part that the law of addresses (wire/fields) takes."""

from __future__ import annotations

from random import Random

import pytest

from drivers.engine.lis2a import reader
from drivers.engine.texts import getter
from drivers.generic_astm import DRIVER
from drivers.wire.fields import part, place
from drivers.wire.lis2a import STANDARD


@pytest.mark.parametrize("address", ["2", "2.1", "2.2", "2.3", "2(2)", "2(2).1", "9.1"])
def test_a_getter_takes_what_the_address_names(address: str) -> None:
    """Fields without marks, with components, with repeats, with both, empty, and not sent."""
    dialect, pick, where = reader(DRIVER, STANDARD).dialect, Random(address), place(address)
    get = getter(where, dialect)
    for _ in range(500):
        fields = ["O", "".join(pick.choices("ab^\\", k=pick.randrange(6))), "x"]
        named = part(fields[where.field - 1], where, "\\", "^") if where.field <= 3 else None
        assert get(fields) == named, fields
