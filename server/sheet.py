"""Turns a Report into the words of a page, in one language: what is said, nothing of how it looks.

Law: PDF and HTML say the same because both are made from this sheet. A time nobody recorded is "not recorded".
Source: ISO 15189:2022 7.4.1.6 (a to m), 7.4.1.7 and 7.4.1.8; the letters stand beside what fulfils them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from middleware.model import Report, ReportLine, ReportSample, ReportStatus
from server.strings import Strings

IST = timezone(timedelta(hours=5, minutes=30), "IST")
AUTO = "auto"  # released_by of a result that approved rules released by themselves
CRITICAL = frozenset({"HH", "LL"})
ABNORMAL = frozenset({"H", "L", "HH", "LL", "A"})
AGE_KEYS: Mapping[str, str] = {"y": "age.years", "m": "age.months", "d": "age.days"}


@dataclass(frozen=True, slots=True)
class Row:
    """One test as printed. `said` stands in place of a value when there is none."""

    name: str
    beside: str  # the name in Hindi
    small: str  # method, LOINC, analyzer, typed by hand
    value: str
    value_small: str  # a coded value in Hindi, the other unit, a comment
    said: str
    unit: str
    interval: str
    flag: str  # H L HH LL A
    word: str
    abnormal: bool
    critical: bool
    change: str  # "Corrected: 7.1 → 11.7"


@dataclass(frozen=True, slots=True)
class Panel:
    """Tests that belong together, under one heading."""

    title: str
    specimen: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Banner:
    """What must be read before the results: interim, or corrected."""

    kind: str  # interim · amended
    title: str
    lines: tuple[str, ...]


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Every text of one report, in one language."""

    lang: str
    title: str
    status: str
    state_line: str
    facility: str
    facility_hi: str
    contact: str
    number: str  # report number with version
    identity: Pairs  # on every page
    details: Pairs
    times: Pairs
    zone: str
    samples_title: str
    sample_head: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]
    panels: tuple[Panel, ...]
    banner: Banner | None
    watermark: str
    summary: str
    urgent: str
    comments_title: str
    comments: tuple[str, ...]
    signed_title: str
    signed: Pairs  # who released, when
    notes: tuple[str, ...]
    end: str


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language of the strings."""

    strings: Strings
    lang: str

    def __call__(self, key: str, **values: object) -> str:
        """The sentence of this key."""
        return self.strings.t(key, self.lang, **values)

    def or_else(self, key: str, text: str) -> str:
        """The sentence of this key, or the text itself when nobody translated it."""
        return self(key) if self.strings.has(key) else text

    def when(self, at: datetime | None) -> str:
        """A moment, day first, in Indian time; "not recorded" when there is none."""
        return self("report.notrecorded") if at is None else at.astimezone(IST).strftime("%d-%m-%Y %H:%M")


def compose(report: Report, lang: str, strings: Strings, printed_at: datetime | None = None) -> Sheet:
    """All words of a report. ValueError for a withdrawn one: nobody may read it any more (domain 1.4)."""
    if report.status is ReportStatus.WITHDRAWN:
        raise ValueError(f"report {report.report_no} is withdrawn")
    t = Tongue(strings, lang)
    interim = report.status is ReportStatus.INTERIM
    return Sheet(
        lang=lang,
        title=t("report.title"),
        status=t(f"report.status.{report.status.value}"),  # k
        state_line=report.state_line,
        facility=report.facility_en,  # b
        facility_hi=report.facility_hi,
        contact=_contact(report, t),
        number=f"{report.report_no} · {t('report.version', n=report.version)}",  # m
        identity=_identity(report, t),  # a
        details=_details(report, t),  # c
        times=_times(report, t, printed_at),
        zone=t("report.zone"),
        samples_title=t("report.samples"),
        sample_head=(t("sample.id"), t("sample.type"), t("time.collected"), t("time.received"), t("report.state")),
        samples=tuple(_sample(s, t) for s in report.samples),  # d
        head=(t("tbl.test"), t("tbl.result"), t("tbl.flag"), t("tbl.unit"), t("tbl.range")),
        panels=_panels(report.lines, t),
        banner=_banner(report, t),
        watermark=t("report.watermark") if interim else "",
        summary=_summary(report.lines, t),
        urgent=_urgent(report.lines, t),
        comments_title=t("report.comments"),
        comments=report.comments,
        signed_title=t("report.released"),
        signed=_signed(report, t),  # j
        notes=(t("report.legend"), t("note.range"), t("note.sample"), t("note.unexpected"), t("note.doctor")),
        end=t("report.end"),
    )


# ---- who and when -----------------------------------------------------------------------------------------------


def age(text: str, t: Callable[[str], str]) -> str:
    """ "45 y", "7 months" in this language; what is not understood stays as it is."""

    def word(found: re.Match[str]) -> str:
        return f"{found[1]} {t(AGE_KEYS[found[2][0]])}"

    return re.sub(r"\b(\d+) ?(y|m|d|years?|months?|days?)\b", word, text)


def pretty_id(sample_id: str) -> str:
    """SSS-YDDD-NNNN-C for our own 12 digits, anything else as it is (domain 8.2)."""
    if re.fullmatch(r"[0-9]{12}", sample_id) is None:
        return sample_id
    return f"{sample_id[:3]}-{sample_id[3:7]}-{sample_id[7:11]}-{sample_id[11]}"


def _contact(report: Report, t: Tongue) -> str:
    phone = t("report.phone", phone=report.facility_phone) if report.facility_phone else ""
    licence = t("report.licence", licence=report.licence) if report.licence else ""
    return " · ".join(filter(None, (report.facility_address, phone, licence)))


def _identity(report: Report, t: Tongue) -> Pairs:
    return (
        (t("patient.name"), report.patient_name),
        (t("report.agesex"), f"{age(report.age_text, t)} / {t(f'sex.{report.sex.value}')}"),
        (t("patient.uhid"), report.uhid),
        (t("report.no"), f"{report.report_no} · {t('report.version', n=report.version)}"),
        (t("time.collected"), _span((s.collected_at for s in report.samples), t)),
        (t("report.issued"), t.when(report.issued_at)),
    )


def _details(report: Report, t: Tongue) -> Pairs:
    none = t("report.notrecorded")
    pairs = [(t("order.doctor"), report.doctor or none), (t("order.dept"), report.department or none)]
    if report.abha_masked:
        pairs.append((t("patient.abha"), report.abha_masked))
    return tuple(pairs)


def _times(report: Report, t: Tongue, printed_at: datetime | None) -> Pairs:
    released = max((line.released_at for line in report.lines if line.released_at), default=None)
    pairs = (
        (t("report.ordered"), t.when(report.ordered_at)),
        (t("time.collected"), _span((s.collected_at for s in report.samples), t)),
        (t("time.received"), _span((s.received_at for s in report.samples), t)),
        (t("report.tested"), t.when(report.tested_at)),
        (t("time.reported"), t.when(released)),
    )
    return pairs if printed_at is None else (*pairs, (t("time.printed"), t.when(printed_at)))


def _span(moments: Iterable[datetime | None], t: Tongue) -> str:
    """One time, or the first and the last of several tubes; the samples table says each."""
    known = sorted(m for m in moments if m is not None)
    if not known or t.when(known[0]) == t.when(known[-1]):
        return t.when(known[0] if known else None)
    last = known[-1].astimezone(IST)
    same_day = last.date() == known[0].astimezone(IST).date()
    return t("report.and", a=t.when(known[0]), b=last.strftime("%H:%M") if same_day else t.when(last))


def _sample(sample: ReportSample, t: Tongue) -> tuple[str, ...]:
    reason = t.or_else(f"reject.{sample.reject_reason}", sample.reject_reason)
    state = f"report.state.{sample.state}"
    said = t(state, reason=reason) if t.strings.has(state) else sample.state
    return (
        pretty_id(sample.sample_id),
        _specimen(sample.specimen, t),
        t.when(sample.collected_at),
        t.when(sample.received_at),
        said,
    )


def _specimen(text: str, t: Tongue) -> str:
    """A specimen in words; a timed tube keeps its letter: "Fluoride plasma (PP)"."""
    for whole, timing in ((text, ""), text.rsplit(" (", 1) if " (" in text else (text, "")):
        key = "report.specimen." + re.sub(r"[^a-z0-9]+", "_", whole.lower()).strip("_")
        if t.strings.has(key):
            return f"{t(key)} ({timing}" if timing else t(key)
    return text


# ---- results ----------------------------------------------------------------------------------------------------


def _panels(lines: Iterable[ReportLine], t: Tongue) -> tuple[Panel, ...]:
    groups: dict[str, list[ReportLine]] = {}
    for line in lines:
        groups.setdefault(line.panel, []).append(line)
    return tuple(_panel(code, group, t) for code, group in groups.items())


def _panel(code: str, lines: list[ReportLine], t: Tongue) -> Panel:
    kinds = {line.specimen for line in lines}
    one = _specimen(kinds.pop(), t) if len(kinds) == 1 else ""
    return Panel(t.or_else(f"report.panel.{code}", code), one, tuple(_row(line, t, not one) for line in lines))


def _row(line: ReportLine, t: Tongue, with_specimen: bool) -> Row:
    done = line.status in ("final", "amended")
    critical = done and line.flag in CRITICAL  # l
    word = t(f"flag.{line.flag}") if done and line.flag else ""
    return Row(
        name=line.name_en,  # e
        beside=line.name_hi,
        small=_small(line, t, with_specimen),
        value=line.value if done else "",
        value_small=_value_small(line, t) if done else "",
        said="" if done else _said(line, t),
        unit=pretty_unit(line.unit) if done else "",  # g
        interval=line.interval if done else "",  # h
        flag=line.flag if done and line.flag in ABNORMAL else "",
        word=f"{t('report.critical')}: {word}" if critical else word,
        abnormal=done and line.flag in ABNORMAL,
        critical=critical,
        change=t("report.corrected", old=line.previous, new=_with_unit(line)) if done and line.previous else "",
    )


def _small(line: ReportLine, t: Tongue, with_specimen: bool) -> str:
    specimen = _specimen(line.specimen, t) if with_specimen and line.specimen else ""
    loinc = t("report.loinc", code=line.loinc) if line.loinc else ""  # f
    typed = t("report.typed") if line.typed else ""
    return " · ".join(filter(None, (specimen, line.method, loinc, line.analyzer, typed)))


def _value_small(line: ReportLine, t: Tongue) -> str:
    key = "val." + re.sub(r"[^a-z]", "", line.value.lower())
    said = t(key) if t.lang != "en" and t.strings.has(key) else ""
    return " · ".join(filter(None, (said, line.note)))


def _said(line: ReportLine, t: Tongue) -> str:
    """Why there is no value: awaited (k), could not be done, cancelled; a reason of the list in full words."""
    if line.status == "pending":
        return t("status.pending")
    known = f"reject.{line.note}"
    if line.status == "rejected" and t.strings.has(known):
        return t("status.rejected", reason=t(known))
    if line.status == "rejected":
        return t("report.notdone.reason", reason=line.note) if line.note else t("report.notdone")
    return t("report.cancelled.reason", reason=line.note) if line.note else t("status.cancelled")


def _with_unit(line: ReportLine) -> str:
    return f"{line.value} {line.unit}".strip()


def pretty_unit(unit: str) -> str:
    """10^3/µL as people write it: 10³/µL."""
    powers = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"10[\^*](\d+)", lambda m: "10" + m[1].translate(powers), unit)


# ---- what frames the results ------------------------------------------------------------------------------------


def _banner(report: Report, t: Tongue) -> Banner | None:
    if report.status is ReportStatus.INTERIM:
        return Banner("interim", t("status.interim"), (t("report.preliminary"),))
    if report.status is not ReportStatus.AMENDED:
        return None
    lines = [t("report.reason", reason=report.amended_reason or t("report.notrecorded"))]
    if report.replaces_version is not None:
        values = {"old": report.replaces_version, "new": report.version, "date": t.when(report.replaces_issued_at)}
        lines.append(t("report.replaces", **values))
    for line in report.lines:
        if line.previous:
            change = t("report.corrected", old=pretty_unit(line.previous), new=pretty_unit(_with_unit(line)))
            lines.append(f"{line.name_en} ({line.name_hi}) · {change}")
    return Banner("amended", t("status.amended", date=t.when(report.replaces_issued_at)), tuple(lines))


def _summary(lines: Iterable[ReportLine], t: Tongue) -> str:
    flags = [line.flag for line in lines if line.status in ("final", "amended")]
    n = sum(flag in ABNORMAL for flag in flags)
    return t("report.summary.some", n=n, total=len(flags)) if n else t("report.summary.none") if flags else ""


def _urgent(lines: Iterable[ReportLine], t: Tongue) -> str:
    names = [
        line.name_en if t.lang == "en" else line.name_hi
        for line in lines
        if line.flag in CRITICAL and line.status in ("final", "amended")
    ]
    return t("report.summary.critical", names=", ".join(names)) if names else ""


def _signed(report: Report, t: Tongue) -> Pairs:
    """Each person who released, with the time of their last result."""
    people: dict[str, datetime | None] = {}
    for line in report.lines:
        if line.released_by:
            people[line.released_by] = max(filter(None, (people.get(line.released_by), line.released_at)), default=None)
    if not people and report.released_by:
        people[report.released_by] = None
    return tuple((t("sign.auto") if who == AUTO else who, t.when(at)) for who, at in people.items())
