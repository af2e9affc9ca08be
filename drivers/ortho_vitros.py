"""Ortho VITROS 250/350, 5,1 FS, 4600, 3600 and ECi/ECiQ, chemistry and immunoassay. LIS2-A2 over RS-232.

Manual  Ortho Clinical Diagnostics, VITROS LIS guide (specifications for laboratory computer interface)
Proof   capture: results of a 3600 and an ECiQ, a query; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 of `id^tray^cup` · code the middle of R-3 component 4 (`1.0000+002+1.0`: manual
dilution, assay, reflex dilution) · value R-4, a number, `<15` or "No Result" · unit R-5 · flag R-7, `^n^CODE`, repeated
(`^0^` no code; NQ not qualified, NR no result, FRMN, NQLS …) · range R-6, not sent · status R-9 V · time R-13, the end;
R-12 the start · control O-12 Q.
Quirks: The sender is the serial number. Replicates come as rows of one test in one message: the first is their mean and
the one to report. A dilution by hand is a comment. M records carry dates of reagents and calibrations. A query is
`Q|1|^id||ALL` with Q-13 O. Without an acceptable answer in 10 s the analyzer cancels it: Q-13 A and L|1|T. An order
names dilution and assay as a result does, and the fluid in O-16: 5 is what a 3600 says for serum, other fluids are not
known here. Nothing known is L|1|I. Each record has a frame of its own: several in one frame are refused. Assay numbers
differ between models: config/analyzers.toml says what they are; 950 to 952 are the serum indices.
Cannot: order for urine, plasma or CSF; tell which calibration a result had.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Kind, Message, Observation, WorkOrder, known
from drivers.engine.choose import best_of_each_test
from drivers.engine.form import RowText
from drivers.engine.replies import header, told
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

MEAN, REPLICATE = "mean", "replicate"
DILUTION, REFLEX = "1.0000", "1.0"
SERUM = "5"
TESTS = dict.fromkeys(("950", "951", "952"), known())


def diluted(row: Observation, sent: RowText) -> Observation:
    """The row with its dilution as a comment, where it was diluted."""
    dilution, plus, _ = (sent.get("R.3.4") or "").partition("+")
    dilution = dilution.strip() if plus else ""
    plain = not dilution.strip("0").strip(".") or dilution.rstrip("0").rstrip(".") == "1"
    return row if plain else row._replace(comments=(f"dilution {dilution}", *row.comments))


def replicates(decoded: Decoded, _message: Message) -> Decoded:
    """Of several rows of one test on one sample the first is the mean, the others are what it was made of."""
    count = Counter(map(_test, decoded.observations))
    seen: set[tuple[object, ...]] = set()
    rows: list[Observation] = []
    for row in decoded.observations:
        named = row.kind is Kind.MEASUREMENT and row.code is not None and row.sample_id is not None
        several = named and count[_test(row)] > 1
        rows.append(row._replace(aspect=REPLICATE if _test(row) in seen else MEAN) if several else row)
        seen.add(_test(row))
    return replace(decoded, observations=tuple(rows))


def _test(row: Observation) -> tuple[object, ...]:
    return (row.sample_id, row.code, *[said for said in row.comments if said.startswith("dilution ")])


def reports(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """The mean where there are replicates."""
    return best_of_each_test(observations, lambda row: -1 if row.aspect == REPLICATE else 0)


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """P and O for each order; L-3 I when nothing is known."""
    return told([*header(lis2a.STANDARD, query.sender)[:12], "LIS2-A"], orders, ordered)


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P and O of one order: the dilution once, then each assay."""
    first, *more = (f"{code}+{REFLEX}" for code in work.codes)
    tests: Value = [("", "", "", f"{DILUTION}+{first}"), *more]
    fields: list[Value] = ["O", "1", work.sample_id, None, tests, "S" if work.stat else "R", *[None] * 5, "N"]
    return [["P", str(number), work.patient_id], [*fields, *[None] * 3, SERUM, *[None] * 9, "O"]]


DRIVER = replace(
    ASTM,
    name="ortho_vitros",
    title="Ortho VITROS",
    grade=Grade.CAPTURE,
    code_from="+",
    code_until="+",
    flag_words={"^0^": "N"},  # a place for a code, without one
    one_record_a_frame=True,
    tests=TESTS,
    retells=diluted,
    settles=replicates,
    reports=reports,
    answers=answer,
)
