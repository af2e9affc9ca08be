"""Blood counters and chemistry as other sites, other firmware or other settings send it: what no capture shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drivers.driver import Decoded, Message, MessageType, Observation, load_driver

TUBE, OTHER = "107632600424", "107632600435"


def decode(name: str, *records: str) -> Decoded:
    """What the driver says of a message of these records or segments."""
    body = "".join(f"{record}\r" for record in records)
    return load_driver(name).decode(Message("1", "a", datetime(2026, 11, 22, tzinfo=UTC), body.encode()))


def row(name: str, *records: str) -> Observation:
    """The only row of it."""
    (said,) = decode(name, *records).observations
    return said


# ---- queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header", "asked", "named"),
    [
        ("erba_xl", "H|`^&", f"^{TUBE}^03^1^2`{OTHER}^03^1^3", (TUBE, OTHER)),
        ("erba_xl", "H|`^&", f"^{TUBE}`^{OTHER}`", (TUBE, OTHER)),
        ("erba_xl", "H|`^&", "^ALL", ()),
        ("generic_astm", "H|\\^&", f"P-1^{TUBE}\\P-2^{OTHER}", (TUBE, OTHER)),
        ("generic_astm", "H|\\^&", "ALL", ()),
        ("horiba_pentra", "H|\\^&|||ABX", "^ALL", ()),
    ],
)
def test_a_query_names_tubes_and_nothing_else(name: str, header: str, asked: str, named: tuple[str, ...]) -> None:
    said = decode(name, header, f"Q|1|{asked}||ALL||||||||O", "L|1|N")
    assert (said.type, said.query_sample_ids) == (MessageType.QUERY, named)


@pytest.mark.parametrize(
    ("name", "sender", "unread", "read"),
    [
        ("roche_cobas_c311", "H7600^1", f"^^{'':22}^1^50021^021^^S1^SC", f"^^{TUBE:>22}^2^50021^022^^S1^SC"),
        ("agappe_cx4", "CX4", "^130^5^45^N", f"{TUBE}^131^5^46^N"),
        ("horiba_yumizen", "H550", "^ ^3", f"^{TUBE}^4"),
    ],
)
def test_a_tube_is_told_by_the_question_that_named_it(name: str, sender: str, unread: str, read: str) -> None:
    """An order that echoes another tube's place would be run on another patient's blood."""
    said = decode(name, f"H|\\^&|||{sender}", f"Q|1|{unread}||ALL", f"Q|2|{read}||ALL", "L|1|N")
    assert (said.query_sample_ids, said.query_raw) == ((TUBE,), (read, unread))


# ---- controls ---------------------------------------------------------------------------------------------------


def test_a_control_is_known_by_its_header_alone() -> None:
    said = decode("meril_autoquant", "H|\\^&|||Meril|||||||Q", "P|1|LOT7", "R|1|^^^TP|6|g/dL", "L|1|N")
    assert (said.type, said.observations[0].sample_id) == (MessageType.QC, "LOT7")
