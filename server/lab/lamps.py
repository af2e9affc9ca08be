"""Turns what the middleware wrote of a line into four lamps, each with its state in words and its time.

Law: pure; a lamp is a kind (good, warn, bad, plain: shape and colour), the strings key of its words, and a moment;
"socket up" says nothing of "message parsed", so four lamps, not one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from middleware.alarm_settings import AlarmKind
from middleware.settings import AnalyzerSettings
from middleware.store.alarms import Alarm
from middleware.store.analyzers_view import Lamps

SERIOUS = frozenset({AlarmKind.SILENCE, AlarmKind.DOWN, AlarmKind.BOOKS, AlarmKind.JOURNAL})


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp: its name is the strings key analyzers.lamp.<what>, its words analyzers.is.<word>."""

    what: str
    kind: str
    word: str
    at: datetime | None


def four(analyzer: AnalyzerSettings, seen: Lamps | None) -> tuple[Lamp, ...]:
    """Socket up, handshake seen, message parsed, result filed."""
    if not analyzer.enabled:
        return (Lamp("socket", "plain", "off", None), *(Lamp(w, "plain", "notyet", None) for w in REST))
    if seen is None:
        return (Lamp("socket", "bad", "never", None), *(Lamp(w, "plain", "notyet", None) for w in REST))
    up = seen.connected
    return (
        Lamp("socket", "good" if up else "bad", "up" if up else "down", seen.since),
        _handshake(seen),
        _outcome("parsed", seen.parsed_at, seen.failed_at, "unreadable"),
        _outcome("result", seen.result_at, seen.unfiled_at, "unfiled"),
    )


REST = ("handshake", "parsed", "result")


def _handshake(seen: Lamps) -> Lamp:
    if seen.handshake_at is None:
        return Lamp("handshake", "warn" if seen.connected else "plain", "notyet", None)
    fresh = not seen.connected or seen.since is None or seen.handshake_at >= seen.since
    return Lamp("handshake", "good" if fresh else "plain", "seen" if fresh else "before", seen.handshake_at)


def _outcome(what: str, good_at: datetime | None, wrong_at: datetime | None, wrong: str) -> Lamp:
    """The newer of the two moments speaks."""
    if wrong_at is not None and (good_at is None or wrong_at > good_at):
        return Lamp(what, "warn", wrong, wrong_at)
    return Lamp(what, "plain" if good_at is None else "good", "notyet" if good_at is None else what, good_at)


@dataclass(frozen=True, slots=True)
class AlarmShown:
    """One alarm as a page says it: `words` is the strings key of its sentence, `values` fill it; `do` what to do."""

    kind: str
    words: str
    do: str
    values: Mapping[str, Any]
    alarm: Alarm


def shown(alarm: Alarm) -> AlarmShown:
    """The words of an alarm. A kind of another version of this program is shown under its own name."""
    known = alarm.kind in {k.value for k in AlarmKind}
    key, args = (alarm.kind if known else "other"), dict(alarm.args)
    values: dict[str, Any] = {"name": alarm.kind, "count": args.get("count", 0)}
    if alarm.kind == AlarmKind.CLOCK:
        key, values["off"] = _clock(args)
    elif alarm.kind == AlarmKind.SILENCE:
        values["since"], values["usual"] = _moment(args.get("since")) or alarm.began_at, int(args.get("usual", 0))
    kind = "bad" if alarm.kind in SERIOUS else "warn"
    return AlarmShown(kind, f"alarm.{key}", f"alarm.{alarm.kind if known else 'other'}.do", values, alarm)


def _clock(args: Mapping[str, Any]) -> tuple[str, int]:
    minutes = int(args.get("minutes", 0))
    if args.get("unset"):
        return "clock.unset", 0
    return ("clock.fast" if minutes > 0 else "clock.slow"), abs(minutes) * 60


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def worst(kinds: Iterable[str]) -> str:
    """The most urgent of these: bad, warn, plain, good."""
    order = ("bad", "warn", "good", "plain")
    return min(kinds, key=order.index, default="plain")
