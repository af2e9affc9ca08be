"""[alarms] of lab.toml: when a line is said to be in trouble, and who is told by SMS.

Turns one table of TOML into a frozen AlarmSettings. Law: nobody is told unless a number stands there.
Source: the comments of lab.toml are the reference of every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from middleware.config_table import Table


class AlarmKind(StrEnum):
    """What can be wrong with a line. The words for people are the strings `alarm.<kind>.what` and `alarm.<kind>.do`."""

    SILENCE = "silence"  # no message though this analyzer usually sends at these hours
    CLOCK = "clock"  # the analyzer's clock is not ours
    DOWN = "down"  # the line is not up
    GARBAGE = "garbage"  # bytes that look like a wrong baud rate or a wrong protocol
    REFUSED = "refused"  # many frames or messages refused in a short time
    BOOKS = "books"  # results in are not results out, held and unmatched
    JOURNAL = "journal"  # the flight recorder cannot be written: every analyzer is refused


SENSITIVITY: Mapping[str, float] = {"low": 3.0, "normal": 2.0, "high": 1.5}
"""How many times its usual longest silence an analyzer may be silent; the names are those of the settings."""
SILENCE_WORDS = ("off", *SENSITIVITY)
MOST_MOBILES = 5
LISTS = frozenset({"holidays", "mobiles", "sms_kinds"})


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """`silence` is off, low, normal or high; 0 minutes switch an alarm off; equal hours: never quiet.

    `mobiles` are +91 and ten digits; no number: no SMS.
    """

    silence: str = "normal"
    holidays: frozenset[date] = frozenset()
    clock_minutes: int = 5
    down_minutes: int = 15
    mobiles: tuple[str, ...] = ()
    sms_kinds: frozenset[AlarmKind] = field(default_factory=lambda: frozenset(AlarmKind))
    quiet_from: int = 21
    quiet_to: int = 7
    most_a_day: int = 10


def read_alarms(table: Table) -> AlarmSettings:
    """The settings of the table; every mistake becomes one of its Problems. Lists may come as texts with commas."""
    table.values = {k: _listed(v) if k in LISTS else v for k, v in table.values.items()}
    kinds = table.known_words("sms_kinds", [k.value for k in AlarmKind], [k.value for k in AlarmKind])
    silence = table.one_of("silence", SILENCE_WORDS, "normal")
    clock_minutes = table.integer("clock_minutes", 5, 0, 1440)
    settings = AlarmSettings(
        silence=silence if silence in SILENCE_WORDS else "normal",  # what is wrong is told here, not again by analyzer
        holidays=_days(table),
        clock_minutes=clock_minutes if 0 <= clock_minutes <= 1440 else 5,
        down_minutes=table.integer("down_minutes", 15, 0, 1440),
        mobiles=_mobiles(table),
        sms_kinds=frozenset(AlarmKind(k) for k in kinds),
        quiet_from=table.integer("quiet_from", 21, 0, 23),
        quiet_to=table.integer("quiet_to", 7, 0, 23),
        most_a_day=table.integer("most_a_day", 10, 1, 50),
    )
    table.finish()
    return settings


def _listed(value: object) -> object:
    """The environment knows texts only: a list stands there with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _days(table: Table) -> frozenset[date]:
    found = set()
    for word in table.words("holidays"):
        try:
            found.add(date.fromisoformat(word))
        except ValueError:
            table.problem("holidays", f'"{word}" is no date', 'a day like "2027-01-26"')
    return frozenset(found)


def _mobiles(table: Table) -> tuple[str, ...]:
    """+91 and ten digits each, whatever blanks and prefixes were typed."""
    found = []
    for word in table.words("mobiles"):
        digits = re.sub(r"[ +-]", "", word)
        ten = re.fullmatch(r"(?:0|91)?([6-9][0-9]{9})", digits)
        if ten is None:
            table.problem("mobiles", f'"{word}" is no Indian mobile number', 'ten digits, as "98123 45670"')
        else:
            found.append(f"+91{ten[1]}")
    if len(found) > MOST_MOBILES:
        table.problem("mobiles", f"{len(found)} numbers", f"at most {MOST_MOBILES}")
    return tuple(dict.fromkeys(found))
