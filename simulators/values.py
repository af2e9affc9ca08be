"""Makes values a body could have: usual, abnormal, critical, far from the previous one.

Turns a sample and a seeded generator into printed numbers. Law: the same seed gives the same numbers, a blood count
agrees with itself (HCT/RBC = MCV and so on), text is printed with the analyzer's decimals.
Source: adult intervals as common in Indian laboratories; a day file may bring better ones for each patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from simulators.step import DaySample, Note

# catalogue code → (low, high, decimals) of adults
USUAL: Mapping[str, tuple[str, str, int]] = {
    "HB": ("13.0", "17.0", 1), "RBC": ("4.50", "5.50", 2), "HCT": ("40.0", "50.0", 1), "MCV": ("83.0", "101.0", 1),
    "MCH": ("27.0", "32.0", 1), "MCHC": ("31.5", "34.5", 1), "RDWCV": ("11.6", "14.0", 1), "RDWSD": ("35.0", "56.0", 1),
    "WBC": ("4.00", "11.00", 2), "NEUTP": ("40.0", "80.0", 1), "LYMPHP": ("20.0", "40.0", 1),
    "MONOP": ("2.0", "10.0", 1),
    "EOSP": ("1.0", "6.0", 1), "BASOP": ("0.0", "2.0", 1), "NEUTA": ("2.00", "7.00", 2), "LYMPHA": ("1.00", "3.00", 2),
    "MONOA": ("0.20", "1.00", 2), "EOSA": ("0.02", "0.50", 2), "BASOA": ("0.00", "0.10", 2), "PLT": ("150", "410", 0),
    "MPV": ("6.5", "12.0", 1), "PDW": ("9.0", "17.0", 1), "PCT": ("0.108", "0.282", 3), "PLCR": ("13.0", "43.0", 1),
    "GLUF": ("70", "99", 0), "GLUPP": ("70", "139", 0), "GLUR": ("70", "139", 0), "OGTT2H": ("70", "139", 0),
    "UREA": ("13", "43", 0), "CREAT": ("0.70", "1.30", 2), "URIC": ("3.5", "7.2", 1), "NA": ("135", "145", 0),
    "K": ("3.5", "5.1", 1), "CL": ("98", "107", 0), "CA": ("8.6", "10.2", 1), "PHOS": ("2.7", "4.5", 1),
    "MG": ("1.6", "2.6", 1), "HCO3": ("22", "29", 0), "TBIL": ("0.3", "1.2", 1), "DBIL": ("0.0", "0.3", 1),
    "AST": ("8", "40", 0), "ALT": ("10", "40", 0), "ALP": ("40", "129", 0), "GGT": ("8", "61", 0),
    "TP": ("6.4", "8.3", 1),
    "ALB": ("3.5", "5.2", 1), "CHOL": ("130", "199", 0), "TG": ("60", "149", 0), "HDL": ("45", "60", 0),
    "LDL": ("50", "99", 0), "AMY": ("28", "100", 0), "LIP": ("13", "60", 0), "LDH": ("125", "225", 0),
    "CK": ("39", "308", 0), "CKMB": ("5", "25", 0), "IRON": ("65", "175", 0), "TIBC": ("250", "425", 0),
    "CRP": ("0.5", "5.0", 1), "RF": ("4", "14", 0), "ASO": ("20", "200", 0), "HBA1C": ("4.0", "5.6", 1),
    "UMALB": ("0.2", "2.0", 1), "UCREAT": ("20", "300", 0),
    "TSH": ("0.40", "4.50", 2), "T3": ("80", "200", 0), "T4": ("5.1", "14.1", 1), "FT3": ("2.00", "4.40", 2),
    "FT4": ("0.93", "1.70", 2), "FERR": ("30.0", "400.0", 1), "B12": ("200", "900", 0), "VITD": ("20.0", "100.0", 1),
}  # fmt: skip

WOMEN: Mapping[str, tuple[str, str]] = {
    "HB": ("12.0", "15.0"), "RBC": ("3.80", "4.80"), "HCT": ("36.0", "46.0"), "CREAT": ("0.60", "1.10"),
    "URIC": ("2.6", "6.0"), "HDL": ("50", "70"), "ALP": ("35", "104"), "FERR": ("15.0", "150.0"), "ALT": ("7", "35"),
    "AST": ("8", "32"), "CK": ("26", "192"), "GGT": ("5", "36"), "IRON": ("50", "170"),
}  # fmt: skip

CHILDREN: Mapping[str, tuple[str, str]] = {
    "HB": ("11.0", "14.1"), "RBC": ("4.00", "5.10"), "HCT": ("34.0", "40.0"), "MCV": ("77.0", "87.0"),
    "MCH": ("25.0", "30.0"), "MCHC": ("30.0", "37.0"), "WBC": ("5.00", "13.00"), "PLT": ("200", "450"),
    "LYMPHP": ("30.0", "50.0"), "NEUTP": ("35.0", "60.0"), "CREAT": ("0.31", "0.43"), "ALP": ("156", "369"),
}  # fmt: skip

# what must be telephoned: the most telling value of each test
CRITICAL: Mapping[str, str] = {
    "HB": "4.1", "PLT": "9", "WBC": "71.50", "K": "6.9", "GLUF": "512", "GLUR": "512", "GLUPP": "512", "NA": "116",
    "UREA": "221", "CREAT": "8.40", "CA": "5.9", "TBIL": "18.2", "VITD": "162.0",
}  # fmt: skip

# how far a delta-failing value lies from the previous one: tests with a narrow delta limit need less
FAR: Mapping[str, str] = {"HB": "0.62", "PLT": "0.35", "NA": "0.89", "CL": "0.88", "K": "1.40", "ALB": "0.65"}

# tests that answer yes or no and print an index beside it: interpretation^index
QUALITATIVE = ("HBSAG", "HCV", "HIV")

BLOOD = frozenset(
    ["HB", "RBC", "HCT", "MCV", "MCH", "MCHC", "RDWCV", "RDWSD", "WBC", "PLT", "MPV", "PDW", "PCT", "PLCR"]
    + [cell + how for cell in ("NEUT", "LYMPH", "MONO", "EOS", "BASO") for how in "PA"]
)
DRAWS = 40
CHILD_DAYS = 4380  # twelve years
CBC = ("HB", "WBC", "PLT")  # the independent ones a story may move; the rest follows


def printed(value: Decimal, decimals: int) -> str:
    """The number as an analyzer prints it."""
    return str(value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def decimals_of(code: str) -> int:
    """Decimals an analyzer prints for this test."""
    return USUAL[code][2]


Limits = tuple[Decimal | None, Decimal | None]


def interval(sample: DaySample | None, code: str) -> Limits:
    """What is usual for this patient: the day file's own interval first, then sex and age of the tables above."""
    low, high = USUAL[code][:2]
    if sample is not None:
        given = sample.intervals.get(code, (None, None))
        if given != (None, None):
            return tuple(None if limit is None else Decimal(limit) for limit in given)  # type: ignore[return-value]
        if sample.age_days < CHILD_DAYS:
            low, high = CHILDREN.get(code, (low, high))
        elif sample.sex == "F":
            low, high = WOMEN.get(code, (low, high))
    return Decimal(low), Decimal(high)


def window(sample: DaySample | None, code: str) -> tuple[Decimal, Decimal]:
    """The interval with both ends, to draw from: an open or zero end is put where healthy people are."""
    low, high = interval(sample, code)
    if high is None:
        low = low if low is not None else Decimal(USUAL[code][0])
        return low, low * Decimal("1.5")
    return low or high * Decimal("0.4"), high


def usual(rng: Random, sample: DaySample | None, code: str, width: int = 40) -> Decimal:
    """A number in the middle `width` percent of the interval."""
    low, high = window(sample, code)
    part = Decimal(50 - width // 2 + rng.randint(0, width)) / 100
    return low + (high - low) * part


def flag(sample: DaySample | None, code: str, value: str) -> str:
    """N, H or L against the interval; the analyzer's own claim."""
    low, high = interval(sample, code)
    number = Decimal(value)
    if low is not None and number < low:
        return "L"
    return "H" if high is not None and number > high else "N"


def blood_count(rng: Random, sample: DaySample | None, fixed: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """A whole blood count whose indices agree with each other; `fixed` says what is already decided.

    Of many draws the first that lies inside all intervals is taken, or the one that leaves the fewest.
    """

    def outside(count: Mapping[str, Decimal]) -> int:
        return sum(flag(sample, code, printed(value, decimals_of(code))) != "N" for code, value in count.items())

    best = _one_count(rng, sample, fixed)
    for _ in range(DRAWS):
        if not outside(best):
            break
        best = min(best, _one_count(rng, sample, fixed), key=outside)
    return best


def _one_count(rng: Random, sample: DaySample | None, fixed: Mapping[str, Decimal]) -> dict[str, Decimal]:
    base = {code: fixed.get(code, usual(rng, sample, code, 30)) for code in ("HB", "MCV", "MCHC", "WBC", "PLT")}
    hct = base["HB"] / base["MCHC"] * 100
    rbc = hct * 10 / base["MCV"]
    base |= {"HCT": hct, "RBC": rbc, "MCH": base["HB"] * 10 / rbc}
    base |= {code: usual(rng, sample, code, 30) for code in ("RDWCV", "RDWSD", "MPV", "PDW", "PLCR")}
    base["PCT"] = base["PLT"] * base["MPV"] / 10000
    return base | _differential(rng, sample, base["WBC"])


def _differential(rng: Random, sample: DaySample | None, wbc: Decimal) -> dict[str, Decimal]:
    percent = {code: usual(rng, sample, code, 30) for code in ("LYMPHP", "MONOP", "EOSP")}
    percent["BASOP"] = Decimal(rng.randint(2, 8)) / 10
    percent = {code: Decimal(printed(value, 1)) for code, value in percent.items()}
    percent["NEUTP"] = 100 - sum(percent.values(), Decimal(0))
    return percent | {code[:-1] + "A": wbc * value / 100 for code, value in percent.items()}


def _moved(rng: Random, sample: DaySample, tests: list[str], note: Note, nth: int) -> dict[str, Decimal]:
    """The few values a story decides."""
    if note is Note.CRITICAL:
        able = [t for t in CRITICAL if t in tests]
        return {able[nth % len(able)]: Decimal(CRITICAL[able[nth % len(able)]])} if able else {}
    if note is Note.DELTA:
        candidates = [t for t in sample.previous if t in tests and (t not in BLOOD or t in CBC)]
        return {t: Decimal(sample.previous[t]) * Decimal(FAR.get(t, "2.30")) for t in candidates[:1]}
    if note is Note.ABNORMAL:
        return _abnormal(rng, sample, [t for t in tests if t not in BLOOD or t in CBC])
    return {}


def _abnormal(rng: Random, sample: DaySample, tests: list[str]) -> dict[str, Decimal]:
    moved = {}
    for test in sorted(rng.sample(tests, min(2, len(tests)))):
        low, high = window(sample, test)
        moved[test] = low * Decimal("0.82") if test in ("HB", "ALB", "VITD", "B12") else high * Decimal("1.22")
    return moved | ({"MCV": Decimal("71.5")} if "HB" in moved else {})


def draw(rng: Random, sample: DaySample, tests: Sequence[str], note: Note, nth: int = 0) -> dict[str, str]:
    """Values of these tests for this patient on this kind of day, printed; the `nth` such day picks another test.

    Tests this table does not know are left out.
    """
    wanted = [test for test in tests if test in USUAL]
    moved = _moved(rng, sample, wanted, note, nth)
    kept = {t: Decimal(sample.previous[t]) * Decimal(rng.randint(98, 102)) / 100 for t in sample.previous if t in USUAL}
    fixed = {t: v for t, v in kept.items() if t not in BLOOD or t in CBC} | moved
    blood = blood_count(rng, sample, fixed) if BLOOD & set(wanted) else {}
    known = fixed | blood
    values = {t: known[t] if t in known else usual(rng, sample, t) for t in wanted}
    numbers = {test: printed(value, decimals_of(test)) for test, value in values.items()}
    return numbers | {test: _index(rng, note) for test in tests if test in QUALITATIVE}


def _index(rng: Random, note: Note) -> str:
    """Interpretation and index as one field: -1 non-reactive, 1 reactive."""
    return f"1^{rng.randint(400, 4000) / 100:.2f}" if note is Note.ABNORMAL else f"-1^{rng.randint(8, 45) / 100:.2f}"


def control_value(rng: Random, code: str, mean: str, sigma: float) -> str:
    """A control's value `sigma` standard deviations from the mean, when an SD is 2.5 % of it, with a little noise."""
    number = Decimal(mean) * (1 + Decimal(str(round(sigma + rng.gauss(0, 0.7), 3))) * Decimal("0.025"))
    return printed(number, decimals_of(code))
