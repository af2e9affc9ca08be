"""What every other part imports: the Driver (a filled-in form that can read), its words, and the way to load one.

Turns a Message into Decoded, and a query with its orders into answers. Law: pure; no I/O, no clock, standard library.
The port names the driver; the header only confirms it: a mismatch is a problem sentence, never a search.
Source: design of the house, "A driver is a form"; each driver names its vendor's manual.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module

import drivers
from drivers.engine import hl7 as _hl7
from drivers.engine import lis2a as _lis2a
from drivers.engine.form import Form, Said
from drivers.engine.rows import Reader
from drivers.engine.units import units
from drivers.engine.words import (
    Decoded,
    DecodeError,
    Grade,
    Kind,
    Message,
    MessageType,
    Observation,
    Stamp,
    TestCode,
    WorkOrder,
)
from drivers.wire import WireError, blocks
from drivers.wire.hl7 import Delimiters as _Hl7Delimiters
from drivers.wire.lis2a import Delimiters as _Lis2aDelimiters

__all__ = [
    "ASTM",
    "HL7",
    "DecodeError",
    "Decoded",
    "Driver",
    "Grade",
    "Kind",
    "Message",
    "MessageType",
    "Observation",
    "Said",
    "Stamp",
    "TestCode",
    "WireError",
    "WorkOrder",
    "detail",
    "driver_names",
    "image",
    "known",
    "load_driver",
    "measurement",
    "suspect",
    "units",
]

NOT_DRIVERS = frozenset({"driver", "decode", "engine", "wire"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Driver(Form):
    """One analyzer family's form, filled in. `dataclasses.replace(driver, charset="latin-1")` is a site's variant."""

    _astm: dict[_Lis2aDelimiters, Reader] = field(default_factory=dict, init=False, repr=False, compare=False)
    _hl7: dict[_Hl7Delimiters, Reader] = field(default_factory=dict, init=False, repr=False, compare=False)

    def decode(self, message: Message) -> Decoded:
        """All the message says, verbatim, every row in order. DecodeError when it is no message of this language."""
        if self.reads is not None:
            decoded = self._whole(self.reads(self, message), message)
        elif self.speaks == "HL7":
            decoded = _hl7.read(self, self._hl7, message)
        else:
            decoded = _lis2a.read(self, self._astm, self._unmarked(message) if self.framings else message)
        return decoded if self.settles is None else self.settles(decoded, message)

    def _whole(self, decoded: Decoded, message: Message) -> Decoded:
        """Blocks of which the line lost some are never taken for the whole message, whatever they say."""
        if self.speaks != "blocks" or not message.incomplete or decoded.type is MessageType.INCOMPLETE:
            return decoded
        cut = "the message was cut before its end"
        return replace(decoded, type=MessageType.INCOMPLETE, problems=(*decoded.problems, cut))

    def at_site(
        self,
        charset: str | None = None,
        framing: str = "",
        layout: Mapping[str, int] | None = None,
        unit_unsent: Mapping[str, str] | None = None,
    ) -> Driver:
        """This driver for an analyzer that a site has set so; itself when nothing is set. KeyError: no such framing."""
        if not (charset or framing or layout or unit_unsent):
            return self
        return replace(
            self, charset=charset or self.charset, framing=self.framings[framing] if framing else self.framing,
            layout=dict(layout or self.layout), unit_unsent=dict(unit_unsent or self.unit_unsent),
        )  # fmt: skip

    def in_its_unit(self, row: Observation) -> Observation:
        """The row with the unit that its site says it has, where the analyzer sent none."""
        return row if row.unit or not row.code else row._replace(unit=self.unit_unsent.get(row.code, row.unit))

    def in_plain_flags(self, row: Observation) -> Observation:
        """The row with the standard's flags for those of its own that say no more (`flag_words`)."""
        if not self.flag_words or not row.flags:
            return row
        return row._replace(flags=tuple(self.flag_words.get(flag, flag) for flag in row.flags))

    def _unmarked(self, message: Message) -> Message:
        """Records that came in blocks (stored as raw bytes), without what marked the blocks, whatever is set today."""
        for framing in self.framings.values():
            if framing is not None and message.body.startswith(framing.start):
                return replace(message, body=b"".join(blocks.texts(framing, message.body)))
        return message

    def reportable(self, observations: Sequence[Observation]) -> tuple[bool, ...]:
        """For each observation: is it THE one to report? The family's rule where a test comes more than once."""
        return self.reports(observations)

    def answer(self, query: Decoded, orders: Sequence[WorkOrder] = ()) -> list[bytes] | None:
        """The messages that answer a query, without frames; no orders: "nothing known" in the vendor's way.

        None when this analyzer is told nothing.
        """
        return self.answers(query, orders)

    def push(self, orders: Sequence[WorkOrder], stamp: Stamp) -> list[bytes]:
        """The messages, without frames, that tell this analyzer what it did not ask for: codes to add, codes that are
        cancelled where the family can be told so. Empty when there is nothing that it could be told."""
        return self.pushes(orders, stamp) if self.pushes is not None else []

    def unread(self, sample_id: str | None) -> bool:
        """True when the id names no tube: the analyzer could not read the barcode and made one up."""
        return not sample_id or bool(self.pseudo and re.fullmatch(self.pseudo, sample_id))

    def raised(self, row: Observation) -> bool:
        """True when a suspect row says the analyzer doubts itself now: flagged, or its number reaches the limit."""
        if row.kind is not Kind.SUSPECT:
            return False
        if set(row.flags) & {"A", "W"} or row.value in ("T", "True", "Positive"):
            return True
        known_as = self.tests.get(row.code or "")
        limit = known_as.raised_from if known_as else self.raised_from
        return bool(limit and row.value and _reaches(row.value, limit))


def _reaches(value: str, limit: str) -> bool:
    """A whole number that is at least `limit`. Compared as text: a broken line may send thousands of digits."""
    digits = value.lstrip("0")
    return value.isascii() and value.isdigit() and (len(digits), digits) >= (len(limit), limit)


# ---- what the standards say: the forms that drivers begin from, `replace(ASTM, …)`, to say only what differs ----

ASTM = Driver(
    name="", title="", grade=Grade.MANUAL, speaks="LIS2-A2",
    sample_id="O.3.1", code="R.3.4", value="R.4", unit="R.5", range="R.6", flag="R.7", status="R.9", observed_at="R.13",
    resent="R", control=(("O.12", "Q"), ("H.12", "Q")), pseudo=r"0+", query_id="Q.3.2", query_cancel=("Q.13", "A"),
)  # fmt: skip
"""LIS02-A2 as it is written (sections 6 to 11): the tube is O-3, a row's code component 4 of R-3, its time R-13; a
query names the tube in component 2 of Q-3, and Q-13 A takes it back. R-9 R is a result that was sent before (9.9,
RC-37). An id of zeros names no tube."""

HL7 = Driver(
    name="", title="", grade=Grade.MANUAL, speaks="HL7",
    sample_id="OBR.3.1", code="OBX.3.1", value="OBX.5", unit="OBX.6.1", range="OBX.7", flag="OBX.8", status="OBX.11",
    observed_at="OBX.14", control=(("MSH.11", "Q"),), pseudo=r"0+",
)  # fmt: skip
"""HL7 v2 chapter 7 as analyzers use it: the tube is OBR-3, a row's code component 1 of OBX-3, its time OBX-14."""


# ---- words for a form's table of tests --------------------------------------------------------------------------


def measurement(
    test: str, ucum: str, also: Mapping[str, str] | None = None, coded: Mapping[str, str] | None = None
) -> TestCode:
    """A code that is the catalogue test `test`, whose catalogue unit is `ucum` (every spelling in engine/units).

    `also` adds units of this test alone: text as sent ("" for none) → factor as decimal text. `coded` maps a sent
    interpretation to the catalogue's value.
    """
    return TestCode(Kind.MEASUREMENT, test, units(ucum, also), coded=dict(coded or {}))


def known() -> TestCode:
    """A number we know and the catalogue does not have (research parameters): stored and shown, never reported."""
    return TestCode(Kind.MEASUREMENT)


def suspect(*doubts: str, raised_from: str | None = None) -> TestCode:
    """A row by which the analyzer doubts itself; `doubts` are its codes that are touched, none named means all."""
    return TestCode(Kind.SUSPECT, doubts=doubts, raised_from=raised_from)


def image() -> TestCode:
    """A picture, a histogram, a scattergram, or the name of its file."""
    return TestCode(Kind.IMAGE)


def detail() -> TestCode:
    """A setting, a gate, a curve: nothing a patient is told."""
    return TestCode(Kind.DETAIL)


# ---- finding drivers --------------------------------------------------------------------------------------------


def driver_names() -> tuple[str, ...]:
    """The drivers there are: each a module of this package with its DRIVER."""
    names = (module.name for module in pkgutil.iter_modules(drivers.__path__))
    return tuple(sorted(name for name in names if name not in NOT_DRIVERS))


def load_driver(name: str) -> Driver:
    """The driver of that name; KeyError, naming those there are, when there is none."""
    if name not in driver_names():
        raise KeyError(f"there is no driver {name!r}; there are: {', '.join(driver_names())}")
    driver = import_module(f"drivers.{name}").DRIVER
    if not isinstance(driver, Driver):
        raise TypeError(f"drivers.{name}.DRIVER is no Driver")
    return driver
