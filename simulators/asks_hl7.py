"""How each family of analyzers that speaks HL7 asks what to run, reads what it is told, and answers that.

Turns the lab's messages into tubes and codes, and gives the replies they want. Law: as in `asks`; an answer must name
the question it answers. Source: Mindray's chemistry (QRY^Q02, QCK^Q02, DSR^Q03, ACK^Q03) and blood counters (ORM^O01,
ORR^O02); IHE PaLM TF-2b LAB-27 and LAB-28 (QBP^Q11, RSP^K11, OML^O33, ORL^O34).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulators.asks import Orders, Refused
from simulators.page import Line, Page

QUESTION = (  # IHE LAB-27: what a well-behaved analyzer asks, for a driver without a recorded query
    "MSH|^~\\&|Analyzer|Laboratory|Host|Laboratory|{now}||QBP^Q11^QBP_Q11|{number}|P|2.5.1|||ER|AL||UNICODE UTF-8|||"
    "LAB-27^IHE\rQPD|WOS^Work Order Step^IHE_LABTF|{number}|{sample_id}\rRCP|I||R\r"
)


def kind(page: Page) -> str:
    """MSH-9 as type^event."""
    return "^".join((page.lines[0].whole(9) or "").split("^")[:2])


def first(page: Page, name: str) -> Line | None:
    """The first segment of that name."""
    return next((line for line in page.lines if line.type == name), None)


def said(page: Page, name: str, address: str) -> str:
    """The text at an address of the first segment of that name, "" when there is none."""
    line = first(page, name)
    return (line.get(address) or "") if line else ""


def reply(page: Page, message: str, number: str, more: Sequence[str] = ()) -> bytes:
    """A message that answers one of the lab's: sender and receiver change places, MSA names what it answers."""
    head = page.lines[0]
    people = [head.whole(at) or "" for at in (5, 6, 3, 4)]
    fields = ["MSH", "^~\\&", *people, head.whole(7) or "", "", message, number, "P", head.whole(12) or "2.3.1"]
    tail = ["", "", "", "", "", head.whole(18) or ""] if head.whole(18) else []
    lines = ["|".join([*fields, *tail]), f"MSA|AA|{head.whole(10) or ''}", *more]
    return "".join(line + "\r" for line in lines).encode("latin-1")


@dataclass(frozen=True, slots=True)
class AsksHl7:
    """One family. `orders` reads all messages of an answer; `over` says that nothing more comes; `reply` what a message
    of the lab is answered with, None for nothing. `modes` and `patience` as in `asks`."""

    orders: Callable[[Sequence[Page], Page | None], Orders]
    over: Callable[[Sequence[Page]], bool]
    reply: Callable[[Page, str], bytes | None]
    patience: float = 15.0
    modes: Mapping[str, bool] | None = None


def _answers(pages: Sequence[Page], question: Page | None) -> None:
    asked = said(question, "MSH", "10") if question else ""
    for page in pages:
        if asked and first(page, "MSA") and said(page, "MSA", "2") != asked:
            raise Refused("MSA-2 is not the control id of the question")


# ---- Mindray's chemistry ------------------------------------------------------------------------------------------

BARCODE, FIRST_TEST = 21, 29


def _display(pages: Sequence[Page], question: Page | None) -> Orders:
    """DSP-3 by the row's number: 21 the barcode, 29 and on a test each."""
    _answers(pages, question)
    found: Orders = {}
    for page in pages:
        rows = {int(line.whole(1) or 0): line.whole(3) or "" for line in page.lines if line.type == "DSP"}
        if kind(page) == "DSR^Q03":
            tests = [rows[at].split("^")[0] for at in sorted(rows) if at >= FIRST_TEST]
            found[rows.get(BARCODE, "").strip()] = tuple(filter(None, tests))
    return found


def _displayed(pages: Sequence[Page]) -> bool:
    """QCK^Q02 says NF, or a DSR^Q03 followed it."""
    if not pages:
        return False
    known = said(pages[0], "QAK", "2") == "OK"
    return not known or any(kind(page) == "DSR^Q03" for page in pages)


def _took_display(page: Page, number: str) -> bytes | None:
    return reply(page, "ACK^Q03", number, ["ERR|0"]) if kind(page) == "DSR^Q03" else None


# ---- Mindray's blood counters -------------------------------------------------------------------------------------


def _count(pages: Sequence[Page], question: Page | None) -> Orders:
    """ORR^O02: MSA-1 AA, ORC AF with the tube in ORC-2, the mode in the OBX 08003."""
    _answers(pages, question)
    found: Orders = {}
    for page in pages:
        modes = [line.whole(5) or "" for line in page.lines if line.type == "OBX" and line.get("3.1") == "08003"]
        if said(page, "MSA", "1") == "AA" and said(page, "ORC", "1") == "AF":
            found[said(page, "ORC", "2").strip()] = tuple(filter(None, modes))
    return found


# ---- IHE LAW ------------------------------------------------------------------------------------------------------


def _work(pages: Sequence[Page], question: Page | None) -> Orders:
    """Every ORC NW of an OML^O33 with the OBR that follows it; the tube stands in SAC-3, else SPM-2."""
    found: Orders = {}
    for page in pages:
        if kind(page) == "RSP^K11":
            _answers([page], question)
            if question and said(page, "QAK", "1") != said(question, "QPD", "2"):
                raise Refused("QAK-1 is not the tag of the question")
        elif kind(page) == "OML^O33":
            found |= _ordered(page)
    return found


def _ordered(page: Page) -> Orders:
    found: Orders = {}
    tube, new = "", False
    for line in page.lines:
        if line.type == "SPM":
            tube = (line.get("2.1") or "").strip()
        elif line.type == "SAC":
            tube = (line.whole(3) or "").strip() or tube
        elif line.type == "ORC":
            new = line.whole(1) == "NW"
        elif line.type == "OBR" and new:
            found[tube] = (*found.get(tube, ()), line.get("4.1") or "")
    return found


def _worked(pages: Sequence[Page]) -> bool:
    """RSP^K11 came and an OML^O33 behind it, for work and for none."""
    return any(kind(page) == "OML^O33" for page in pages)


def _took_work(page: Page, number: str) -> bytes | None:
    """ORL^O34, with an ORC OK for each order."""
    if kind(page) != "OML^O33":
        return None
    kept = [line for line in page.lines if line.type in ("SPM", "SAC")]
    placers = [line.whole(2) or "" for line in page.lines if line.type == "ORC" and line.whole(1) == "NW"]
    more = ["|".join(line.fields) for line in kept] + [f"ORC|OK|{placer}|||SC" for placer in placers]
    return reply(page, "ORL^O34^ORL_O34", number, more)


def _nothing(_page: Page, _number: str) -> bytes | None:
    return None


_LAW = AsksHl7(_work, _worked, _took_work)
ASKS_HL7: Mapping[str, AsksHl7] = {
    "biosystems_ba400": _LAW,
    "generic_hl7": _LAW,
    "mindray_bc": AsksHl7(_count, bool, _nothing, modes={"CBC": False, "CBC+DIFF": True}),
    "mindray_chem_hl7": AsksHl7(_display, _displayed, _took_display),
}
