"""How each family of analyzers that speaks ASTM asks what to run, and reads what it is told.

Turns the lab's answer to a query, or an order it sends unasked, into tubes and the codes to run, by that family's own
rules. Law: an answer that the analyzer would refuse is refused here too, in words; nothing is run that was not ordered.
Source: the drivers' manuals as the drivers name them; queries of the captures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulators.page import Line, Page

Orders = dict[str, tuple[str, ...]]
"""Tube → codes to run on it, in the order they came."""


class Refused(ValueError):
    """The analyzer does not take this answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the lab said: its messages, the frames they came in, and the question (None: it was not asked)."""

    pages: Sequence[Page]
    frames: Sequence[bytes] = ()
    question: Page | None = None

    @property
    def asked(self) -> str:
        """Q-3 as it was asked; "" for an order that came unasked."""
        return _field(self.question, "Q", 3)

    @property
    def sender(self) -> str:
        """H-5 of the question."""
        return _field(self.question, "H", 5)


def _field(page: Page | None, kind: str, number: int) -> str:
    line = next((line for line in page.lines if line.type == kind), None) if page else None
    return (line.whole(number) or "") if line else ""


Check = Callable[[Answer, Page, Line], None]
Codes = Callable[[Line], Sequence[str]]


def unchecked(_answer: Answer, _page: Page, _order: Line) -> None:
    """This family takes any order."""


def any_whole(_answer: Answer) -> None:
    """This family takes any answer."""


def component(number: int) -> Codes:
    """The codes of O-5, each repeat's component of that number."""

    def codes(order: Line) -> Sequence[str]:
        repeat, mark = order.marks[1:3]
        sent = [part.split(mark) for part in (order.whole(5) or "").split(repeat)]
        return [parts[number - 1] for parts in sent if len(parts) >= number and parts[number - 1]]

    return codes


FOURTH = component(4)
CANCELS = "C"  # in O-12 (LIS02-A2 8.4.12): these tests are not to be run


@dataclass(frozen=True, slots=True)
class Asks:
    """One family. `sample_id` is where an O record has it, `codes` takes the codes out of it; `check` raises Refused;
    `whole` is said of the whole answer. `many`: several tubes in one query. `patience`: seconds it waits; `cancels`: it
    says so when nothing came. `modes`: it is told what to measure by a mode, not by tests: mode → is it told to count
    the cells of the differential?"""

    sample_id: str = "3.1"
    codes: Codes = FOURTH
    check: Check = unchecked
    whole: Callable[[Answer], None] = any_whole
    many: bool = False
    patience: float = 15.0
    cancels: bool = False
    modes: Mapping[str, bool] | None = None

    def orders(self, answer: Answer) -> Orders:
        """The tubes and codes of an answer; none when the lab knows of nothing, or cancels. Raises Refused."""
        self.whole(answer)
        found: Orders = {}
        for page in answer.pages:
            for order, _ in page.rows("O"):
                tube, codes = (order.get(self.sample_id) or "").strip(), tuple(self.codes(order))
                if tube and codes and order.whole(12) != CANCELS:
                    self.check(answer, page, order)
                    found[tube] = (*found.get(tube, ()), *codes)
        return found


# ---- what each family looks at ------------------------------------------------------------------------------------


def _need(condition: bool, why: str) -> None:
    if not condition:
        raise Refused(why)


def _of_erba(_answer: Answer, _page: Page, order: Line) -> None:
    """Tube type 01 or 03 in O-3, A or N in O-12, SERUM and the like in O-16."""
    _need(order.get("3.2") in ("01", "03"), "O-3 names no tube type: the sample is refused")
    _need(order.whole(12) in ("A", "N"), "O-12 is neither A nor N")
    _need(bool(order.whole(16)), "O-16 names no material")


def _of_mindray(_answer: Answer, page: Page, order: Line) -> None:
    """H-12 says SA, and O-3 a place."""
    _need(page.lines[0].whole(12) == "SA", "H-12 of an order is not SA")
    _need(bool(order.get("3.3")), "O-3 is not number^tray^position")


def _mindray_kind(answer: Answer) -> None:
    for page in answer.pages:
        _need(page.lines[0].whole(12) in ("SA", "QA"), "H-12 is neither SA nor QA")


def _of_roche(answer: Answer, _page: Page, order: Line) -> None:
    """O-3 and O-4 repeat what the query said of the tube and its place; A or N in O-12."""
    _need(order.whole(12) in ("A", "N"), "O-12 is neither A nor N")
    if answer.asked:
        _, _, tube, *where = answer.asked.split("^")
        _need(order.whole(3) == tube, "O-3 is not the sample id as it was asked, with its padding")
        _need(order.whole(4) == "^".join(where), "O-4 does not repeat the place of the query")


def _roche_kind(answer: Answer) -> None:
    for page in answer.pages:
        kind = page.lines[0].whole(11)
        _need(kind in ("TSDWN^REPLY", "TSDWN^BATCH"), f"H-11 says {kind!r}, not TSDWN^REPLY")


def _vitros_codes(order: Line) -> Sequence[str]:
    """The dilution stands once, before the first assay: `^^^1.0000+002+1.0\\003+1.0`."""
    first, *more = (order.whole(5) or "").split(order.marks[1])
    head = first.split(order.marks[2])[-1].split("+")
    return [code for code in (head[1] if len(head) > 2 else "", *(part.split("+")[0] for part in more)) if code]


def _one_record_a_frame(answer: Answer) -> None:
    """Several records in one frame were seen to be refused."""
    several = [frame for frame in answer.frames if frame.strip(b"\r").count(b"\r")]
    _need(not several, "several records in one frame")


def _of_vitros(_answer: Answer, _page: Page, order: Line) -> None:
    _need(bool(order.whole(16)), "O-16 names no fluid")


def _of_sysmex(_answer: Answer, _page: Page, order: Line) -> None:
    """O-26 is Q for an order; what it was asked stands in O-3."""
    if _answer.asked:
        _need(order.whole(3) == _answer.asked, "O-3 does not repeat rack, position and id of the query")
        _need(order.whole(26) == "Q", "O-26 is not Q")


def _of_architect(answer: Answer, _page: Page, order: Line) -> None:
    if answer.asked:
        _need(order.whole(26) == "Q", "O-26 is not Q, the answer to a query")


def _of_indiko(_answer: Answer, _page: Page, order: Line) -> None:
    """One test in each O."""
    _need(order.marks[1] not in (order.whole(5) or ""), "several tests in one O record")


def _snibe_name(answer: Answer) -> None:
    """H-5 is the analyzer's own name."""
    for page in answer.pages:
        said = page.lines[0].whole(5)
        _need(not answer.sender or said == answer.sender, "H-5 is not the analyzer's own name")


_MINDRAY = Asks("4.1", component(1), _of_mindray, _mindray_kind)
ASKS: Mapping[str, Asks] = {
    "abbott_architect": Asks(check=_of_architect),
    "agappe_mispa_nano": _MINDRAY,
    "beckman_access": Asks(),
    "erba_xl": Asks(check=_of_erba, many=True),
    "generic_astm": Asks(),
    "horiba_yumizen": Asks(modes={"CBC": False, "DIF": True}),
    "mindray_bs": _MINDRAY,
    "ortho_vitros": Asks(codes=_vitros_codes, check=_of_vitros, whole=_one_record_a_frame, patience=10.0, cancels=True),
    "roche_cobas_c311": Asks("3", check=_of_roche, whole=_roche_kind),
    "roche_cobas_e411": Asks("3", check=_of_roche, whole=_roche_kind),
    "snibe_maglumi": Asks(whole=_snibe_name),
    "sysmex_xn": Asks("3.3", component(5), _of_sysmex),
    "thermo_indiko": Asks(check=_of_indiko),
}
