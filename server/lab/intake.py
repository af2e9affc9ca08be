"""Turns what was typed at the counter (or sent by a hospital system) into a Registration, or what is wrong with it.

Law: pure; today and the lists to choose from are handed in. A mistake is a field and a strings key, so that it stands
beside the field in the person's own language; nothing typed is lost. Source: domain 4.7 (numbers), 5.4 (consent).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from middleware.actions.register import Registration, mobile_number
from middleware.model import MobileOwner, Refused, Sex

OLDEST = 120  # years; nobody alive is older
UNITS = ("years", "months", "days")
LIMITS = {"years": OLDEST, "months": 60, "days": 365}
PRECISION = {"years": "year", "months": "month", "days": "day"}
LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Typed:
    """The registration form as typed, every field a text; it is shown again exactly so when something is wrong."""

    patient_id: str = ""
    name: str = ""
    sex: str = ""
    age: str = ""
    age_unit: str = "years"
    birth_date: str = ""
    guardian: str = ""
    mobile: str = ""
    mobile_owner: str = ""
    sms_consent: bool = False
    language: str = "hi"
    uhid: str = ""
    abha: str = ""
    doctor: str = ""
    department: str = ""
    facility: str = ""
    ordered_at: str = ""
    collected_now: bool = True
    tests: tuple[str, ...] = ()
    external_ref: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake: the field where it stands, and the sentence."""

    where: str
    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What can be chosen: test and panel codes, facility codes; and the clock of the lab."""

    codes: frozenset[str]
    facilities: frozenset[str]
    now: datetime
    zone: ZoneInfo

    @property
    def today(self) -> date:
        """The lab's own day."""
        return self.now.astimezone(self.zone).date()


def check(typed: Typed, known: Known, born: tuple[date, str] | None = None) -> tuple[Registration | None, list[Wrong]]:
    """The registration, or None and every mistake. `born` is given for a patient who is already known."""
    wrong: list[Wrong] = []
    birth, precision = born or _birth(typed, known.today, wrong)
    if born is None:
        _person(typed, wrong)
    mobile = _mobile(typed, wrong)
    _rest(typed, known, wrong)
    ordered = _ordered_at(typed.ordered_at, known, wrong)
    if wrong:
        return None, wrong
    return _registration(typed, birth, precision, mobile, ordered), []


def check_person(typed: Typed, today: date, born: tuple[date, str]) -> tuple[tuple[date, str], list[Wrong]]:
    """Birth date with precision and every mistake of a corrected person; no age and no date keeps what was."""
    wrong: list[Wrong] = []
    birth = _birth(typed, today, wrong) if typed.age or typed.birth_date else born
    _person(typed, wrong)
    _numbers(typed, wrong)
    return birth, wrong


def _registration(
    typed: Typed, birth: date, precision: str, mobile: str | None, ordered: datetime | None
) -> Registration:
    return Registration(
        name=" ".join(typed.name.split()),
        sex=Sex(typed.sex) if typed.sex else Sex.OTHER,
        birth_date=birth,
        birth_precision=precision,
        tests=tuple(dict.fromkeys(typed.tests)),
        guardian=" ".join(typed.guardian.split()),
        mobile=mobile,
        mobile_owner=MobileOwner(typed.mobile_owner) if mobile else MobileOwner.NONE,
        sms_consent=typed.sms_consent and mobile is not None,
        language=typed.language,
        uhid=typed.uhid or None,
        abha=re.sub(r"\D", "", typed.abha) or None,
        facility_code=typed.facility,
        doctor=typed.doctor,
        department=typed.department,
        ordered_at=ordered,
        external_ref=typed.external_ref or None,
        patient_id=int(typed.patient_id) if typed.patient_id else None,
        collected_now=typed.collected_now,
    )


def _person(typed: Typed, wrong: list[Wrong]) -> None:
    if not LETTER.search(typed.name):
        wrong.append(Wrong("name", "intake.name"))
    if typed.sex not in {s.value for s in Sex}:
        wrong.append(Wrong("sex", "intake.sex"))


def _birth(typed: Typed, today: date, wrong: list[Wrong]) -> tuple[date, str]:
    """Birth date with its precision; today and a Wrong when neither age nor date can be read."""
    if typed.birth_date:
        return _birth_from_date(typed.birth_date, today, wrong), "day"
    unit = typed.age_unit if typed.age_unit in UNITS else "years"
    if not (typed.age.isascii() and typed.age.isdigit()):
        wrong.append(Wrong("age", "intake.age"))
        return today, "day"
    count = int(typed.age[:6])
    if count > LIMITS[unit]:
        wrong.append(Wrong("age", f"intake.age.{unit}", {"most": LIMITS[unit]}))
        return today, "day"
    return born_before(today, count, unit), PRECISION[unit]


def _birth_from_date(text: str, today: date, wrong: list[Wrong]) -> date:
    try:
        birth = date.fromisoformat(text)
    except ValueError:
        wrong.append(Wrong("birth_date", "intake.birth"))
        return today
    if birth > today or birth < back(today, OLDEST * 12):
        wrong.append(Wrong("birth_date", "intake.birth.range", {"most": OLDEST}))
    return birth


def born_before(today: date, count: int, unit: str) -> date:
    """The birth date of somebody who is `count` years, months or days old today."""
    if unit == "days":
        return today - timedelta(days=count)
    return back(today, count * 12 if unit == "years" else count)


def back(today: date, months: int) -> date:
    """The same day `months` earlier, the month's last day when it has no such day."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    for day in range(today.day, 27, -1):
        try:
            return date(year, month + 1, day)
        except ValueError:
            continue
    return date(year, month + 1, min(today.day, 27))


def _mobile(typed: Typed, wrong: list[Wrong]) -> str | None:
    try:
        number = mobile_number(typed.mobile)
    except Refused:
        wrong.append(Wrong("mobile", "intake.mobile"))
        return None
    if typed.mobile and number is None:
        wrong.append(Wrong("mobile", "intake.mobile"))
    if number and is_filler(number[-10:]):
        wrong.append(Wrong("mobile", "intake.mobile.filler"))
    if number and typed.mobile_owner not in ("self", "family", "asha"):
        wrong.append(Wrong("mobile_owner", "intake.owner"))
    if typed.sms_consent and not typed.mobile:
        wrong.append(Wrong("mobile", "intake.consent"))
    return number


def is_filler(digits: str) -> bool:
    """True for a number that somebody typed to get past the field: one digit over and over, or a run up or down."""
    run = "01234567890123456789"
    return len(set(digits[1:])) == 1 or digits in run or digits in run[::-1]


def _rest(typed: Typed, known: Known, wrong: list[Wrong]) -> None:
    if not typed.tests:
        wrong.append(Wrong("tests", "intake.tests"))
    unknown = [code for code in typed.tests if code not in known.codes]
    if unknown:
        wrong.append(Wrong("tests", "intake.code", {"code": ", ".join(unknown)}))
    if typed.facility and typed.facility not in known.facilities:
        wrong.append(Wrong("facility", "intake.facility"))
    if typed.language not in ("en", "hi"):
        wrong.append(Wrong("language", "intake.language"))
    _numbers(typed, wrong)
    if typed.patient_id and not (typed.patient_id.isascii() and typed.patient_id.isdigit()):
        wrong.append(Wrong("patient_id", "intake.patient"))


def _numbers(typed: Typed, wrong: list[Wrong]) -> None:
    """ABHA has 14 digits; no text is longer than its column."""
    if typed.abha and len(re.sub(r"\D", "", typed.abha)) != 14:
        wrong.append(Wrong("abha", "intake.abha"))
    wrong.extend(Wrong(f.name, "intake.long", {"most": LENGTHS[f.name]}) for f in fields(typed)
                 if f.name in LENGTHS and len(getattr(typed, f.name)) > LENGTHS[f.name])  # fmt: skip


LENGTHS = {"name": 120, "guardian": 120, "doctor": 120, "department": 80, "uhid": 40, "external_ref": 60}


def _ordered_at(text: str, known: Known, wrong: list[Wrong]) -> datetime | None:
    """The time the doctor wrote the order, local clock when no zone is given; None when it was not recorded."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        wrong.append(Wrong("ordered_at", "intake.ordered"))
        return None
    at = at if at.tzinfo else at.replace(tzinfo=known.zone)
    if not known.now - timedelta(days=90) <= at <= known.now + timedelta(minutes=10):
        wrong.append(Wrong("ordered_at", "intake.ordered.range"))
    return at
