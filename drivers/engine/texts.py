"""What the text of one field says: the part of it at an address, and what is remembered of texts that come again.

Turns addresses into functions of a row's fields. Law: an address that was not sent is None; what is remembered is
bounded, and says what reading anew would say. Source: LIS02-A2 5.4 and HL7 v2 2.6 for the marks inside a field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from drivers.engine.words import Kind
from drivers.wire.fields import Place, part

Fields = list[str]
Above = Mapping[str, Fields]
"""The fields of the latest record of each type that stands above a row: H, P, O or MSH, PID, OBR …"""

Get = Callable[[Fields], "str | None"]
T = TypeVar("T")
Named = tuple["str | None", "str | None", "Kind | None"]
"""What a code's field says: code, name, and what the form says a row of that code is (None: not listed). A plain tuple,
for it is taken apart for every row."""


class Dialect(NamedTuple):
    """What differs between the two languages: index of field 1, the marks, how an escape is read, the row's record."""

    first: int
    field: str
    repeat: str
    component: str
    sub: str
    escape: str
    decode: Callable[[str], str]
    row: str


class Standing(NamedTuple):
    """What stands above a row and holds for all rows below it. `observed_at`: where rows have no time of their own."""

    above: Above
    sample_id: str | None
    control: bool
    observed_at: str | None


class Remembered(dict[str | None, T]):
    """What the texts of one field say: few, the same in every message, so each is read once and remembered.

    Long texts are read anew each time, and when too many came to all fields of all drivers together, all are
    forgotten: a laboratory's analyzers say some thousands, a broken line says new ones for ever.
    """

    MOST, LONGEST = 16_384, 80
    _filled: ClassVar[list[Remembered[Any]]] = []
    _held: ClassVar[int] = 0

    def __init__(self, read: Callable[[str | None], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, sent: str | None) -> T:
        said = self._read(sent)
        if sent is None or len(sent) <= self.LONGEST:
            if not self:
                self._filled.append(self)
            self[sent] = said
            Remembered._held += 1  # threads may miscount by a few: it is a bound, no sum
            if Remembered._held > self.MOST:
                self.forget()
        return said

    @classmethod
    def forget(cls) -> None:
        """All that all fields remember."""
        while cls._filled:
            cls._filled.pop().clear()
        Remembered._held = 0


def listed(addresses: str | tuple[str, ...]) -> tuple[str, ...]:
    """The addresses that a form names for one thing."""
    return ((addresses,) if addresses else ()) if isinstance(addresses, str) else addresses


def getter(where: Place, dialect: Dialect) -> Get:
    """A function that takes the text at a place out of a row's fields, as sent; None when not sent."""
    index = where.field - dialect.first
    mark, repeat, wanted = dialect.component, dialect.repeat, where.component

    def whole(fields: Fields) -> str | None:
        return fields[index] if index < len(fields) else None

    def inside(fields: Fields) -> str | None:
        return part(fields[index], where, repeat, mark, dialect.sub) if index < len(fields) else None

    def component(fields: Fields) -> str | None:
        if index >= len(fields):
            return None
        text = fields[index]
        if mark not in text or repeat in text:
            return text if wanted == 1 and repeat not in text else inside(fields)
        parts = text.split(mark)
        return parts[wanted - 1] if wanted <= len(parts) else None

    if not wanted and not where.repeat:
        return whole
    return inside if where.repeat or where.sub or not mark or not repeat else component
