"""Abbott ARCHITECT i1000SR, i2000SR and ci4100, immunoassay (the c module alike). LIS2-A2 over RS-232 or TCP.

Manual  Abbott, ARCHITECT System ASTM Interface Manual
Proof   capture: an auto-diluted result, a query of an i1000SR; not yet run beside a lab's own analyzer

Where things sit: sample O-3 (O-4 `id^carrier^position`) · code R-3 component 4, the assay's number, 5 its name, 6 the
dilution (UNDILUTED, `1:15`), 7 P the protocol, 8 the reagent lot, 11 which of three rows this is: F the result, I its
interpretation in words, P the counts (RLU) behind it · value R-4, `> 31000.00` with a blank · unit R-5 · flags R-7 (> <
outside the measuring range) · range R-6 · status R-9, R when it was sent before · time R-13 · control O-12 Q.
Quirks: Of a test the F row is reported, of several the latest; an I row alone only where there is no F row; counts
never. The interpretation stands beside the F row too (`coded`), in the catalogue's word where it has one; a dilution is
a comment. A sample that was out of range comes again, diluted, as a message of its own: the rules hold a second result.
One session holds many messages. A query is Q-3 `^id`; Q-13 A cancels it. "Nothing to do" is its Q again with Q-13 X.
Assay numbers depend on the assay files that are loaded: config/analyzers.toml says what they are.
Cannot: say which control lot it is but by the id; tell units that an assay file leaves out.
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, Observation, WorkOrder, known
from drivers.engine.choose import best_of_each_test
from drivers.engine.form import RowText
from drivers.engine.replies import header, order
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

FINAL, INTERPRETATION, COUNTS = "final", "interpretation", "preliminary RLU"
WORDS = {"nonreactive": "Non-reactive", "reactive": "Reactive", "positive": "Positive", "negative": "Negative"}
NOTHING = "X"
NONE = ("", "UNDILUTED", "STANDARD")  # of the i and of the c module: no dilution that a person has to know of

TESTS = {number: known() for number in ("133", "281", "531", "580", "651")}  # anti-HBs, HBc IgM, CMV, anti-HBc, hCG


def diluted(row: Observation, sent: RowText) -> Observation:
    """The row with its dilution as a comment, where there is one."""
    dilution = (sent.get("R.3.6") or "").strip()
    return row if dilution in NONE else row._replace(comments=(f"dilution {dilution}", *row.comments))


def interpreted(decoded: Decoded, _message: Message) -> Decoded:
    """The interpretation beside the result that it is of: same sample, test and time."""
    said = {_result(row): row.value for row in decoded.observations if row.aspect == INTERPRETATION and row.value}
    rows = [
        row._replace(coded=WORDS.get(said[_result(row)].casefold(), said[_result(row)]))
        if row.aspect == FINAL and _result(row) in said
        else row
        for row in decoded.observations
    ]
    return replace(decoded, observations=tuple(rows))


def _result(row: Observation) -> tuple[str | None, str | None, str | None]:
    return (row.sample_id, row.code, row.observed_at)


def reports(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """The final result of each test; its interpretation only when there is no final row."""
    return best_of_each_test(observations, lambda row: {COUNTS: -1, INTERPRETATION: 0}.get(row.aspect or "", 1))


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """H, then P and O (O-26 Q: answer to a query) for each order, then L; nothing to do: the Q back with Q-13 X."""
    records: list[Sequence[Value]] = [header(lis2a.STANDARD, query.sender)]
    for number, work in enumerate(orders, 1):
        patient: list[Value] = ["P", str(number), None, work.patient_id, None, None, None, None, work.sex[:1] or "U"]
        sent: list[Value] = [*order(1, work), *[None] * 9, "Q"]
        records += [patient, sent]
    if not orders:
        for number, asked in enumerate(query.query_sample_ids, 1):
            test: Value = ("", "", "", "ALL")
            records.append(["Q", str(number), ("", asked), None, test, *[None] * 7, NOTHING])
    records.append(["L", "1"])
    return [lis2a.build(records, charset="utf-8")]


DRIVER = replace(
    ASTM,
    name="abbott_architect",
    title="Abbott ARCHITECT",
    grade=Grade.CAPTURE,
    sender=r"ARCHITECT",
    code_name="R.3.5",
    aspect="R.3.11",
    aspects={"F": FINAL, "I": INTERPRETATION, "P": COUNTS},
    tests=TESTS,
    retells=diluted,
    settles=interpreted,
    reports=reports,
    answers=answer,
)
