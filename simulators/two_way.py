"""An analyzer that asks: what shall I run on this tube? It runs exactly that, and what the lab sends it unasked.

Turns sample ids into questions, the lab's answers into results of the ordered tests, and tells in words what was
ordered. Law: a question is asked until the lab has taken it; nothing is run that was not ordered.
Source: LIS02-A2 11, IHE LAW, the drivers' manuals; see `asks`, `asks_hl7`, `asks_blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from drivers.wire import blocks, mllp
from simulators import hear, marks
from simulators.any_driver import Mouth, retell_any, speaks
from simulators.asks import ASKS, Answer, Asks, Orders
from simulators.asks_blocks import ASKS_BLOCKS, AsksBlocks
from simulators.asks_hl7 import ASKS_HL7, QUESTION, AsksHl7
from simulators.line import Waiting
from simulators.ordered import assembled, counted
from simulators.page import Page
from simulators.play import IDLE, SENDS, Manner, talk
from simulators.step import Note, Said, Step
from simulators.templates import Cut, Template, decode

Say = Callable[[str], None]
Family = Asks | AsksHl7 | AsksBlocks
FAMILIES: Mapping[str, Family] = {**ASKS, **ASKS_HL7, **ASKS_BLOCKS}


class TwoWay:
    """The talking and listening of one analyzer. `say` is told, tube by tube, what was ordered, and what went wrong."""

    def __init__(self, mouth: Mouth, say: Say) -> None:
        """Raises KeyError for a family that is told nothing."""
        name = mouth.driver.name
        if name not in FAMILIES:
            raise KeyError(f"{mouth.driver.title} is told nothing; those that ask are {', '.join(sorted(FAMILIES))}")
        self._mouth, self._say, self._family = mouth, say, FAMILIES[name]
        self._asked: dict[int, tuple[str, ...]] = {}
        self._due: list[Step] = []
        self._replies = 0

    # ---- its steps

    def questions(self, ids: Sequence[str]) -> list[Step]:
        """The questions about these tubes: one for each, or one for all where the family asks so."""
        family = self._family
        groups = [list(ids)] if isinstance(family, Asks) and family.many and ids else [[each] for each in ids]
        made = []
        for group in groups:
            step = self._question(group)
            self._asked[step.seq] = tuple(group)
            made.append(step)
        return made

    def more(self) -> Sequence[Step]:
        """The results that are due."""
        due, self._due = self._due, []
        return due

    def _question(self, ids: Sequence[str]) -> Step:
        mouth = self._mouth
        if not mouth.templates.questions:
            now, number = f"{mouth.now:%Y%m%d%H%M%S}", f"{mouth.now:%H%M%S%f}"
            text = QUESTION.format(now=now, number=number, sample_id=ids[0])
            return mouth.step([text], decode(mouth.driver, text.encode("latin-1")), Cut(0), Note.QUERY)
        template = _for_one(mouth.templates.questions[0])
        made = retell_any(template, lambda _: ids[0], mouth.now, None)
        parts = made.parts
        if len(ids) > 1:
            page = Page.read("".join(parts).encode("latin-1"))
            query = next(line for line in page.lines if line.type == "Q")
            query.put("3", query.marks[2] + query.marks[1].join(ids))
            parts = (page.bytes().decode("latin-1"),)
        return mouth.step(parts, made.decoded, template.cut, Note.QUERY)

    # ---- its line

    def send(self, line: Waiting, step: Step, manner: Manner) -> bool:
        """A result, or a question with its answer."""
        if step.type != "query":
            return SENDS[speaks(self._mouth.driver)](line, step, manner)
        try:
            orders = self._ask(line, step, manner)
            for sample_id in self._asked.get(step.seq, ()) if orders is not None else ():
                self._told(sample_id, (orders or {}).get(sample_id, ()))
        except ValueError as why:  # Refused, Unusable, or a message that cannot be read
            self._say(f"the answer is not taken: {why}")
            return True
        return orders is not None

    def idle(self, line: Waiting, manner: Manner) -> None:
        """Listen for orders that the lab sends unasked, or ask for any there are."""
        try:
            for sample_id, codes in (self._listen(line, manner) or {}).items():
                self._told(sample_id, codes)
        except ValueError as why:
            self._say(f"an order is not taken: {why}")

    def replies(self) -> int:
        """How many messages it answered with since this was last asked."""
        count, self._replies = self._replies, 0
        return count

    def _told(self, sample_id: str, codes: Sequence[str]) -> None:
        codes = tuple(dict.fromkeys(codes))
        self._say(f"{sample_id}: {' '.join(codes) or 'nothing is ordered'}")
        if codes:
            self._due.append(self._result(sample_id, codes))

    def _result(self, sample_id: str, codes: Sequence[str]) -> Step:
        mouth, modes = self._mouth, getattr(self._family, "modes", None)
        if modes:
            codes = counted(mouth.driver, any(modes.get(code, False) for code in codes))
        template = assembled(mouth.templates, codes, mouth.rng)
        made = retell_any(template, lambda _: sample_id, mouth.now, None)
        return mouth.step(made.parts, made.decoded, template.cut, Note.ORDERED)

    # ---- asking, by language

    def _ask(self, line: Waiting, step: Step, manner: Manner) -> Orders | None:
        """What the lab orders; None when the question did not get through."""
        if isinstance(self._family, Asks):
            return self._ask_astm(self._family, line, step, manner)
        if isinstance(self._family, AsksHl7):
            line.line.write(mllp.block(step.said.body))
            return self._take_hl7(self._family, line, Page.read(step.said.body), self._family.patience)
        heard = talk(line, step.said.turns, manner.reply)
        return None if heard is None else self._take_block(self._family, line, step, heard)

    def _ask_astm(self, family: Asks, line: Waiting, step: Step, manner: Manner) -> Orders | None:
        send = SENDS[speaks(self._mouth.driver)]
        if not send(line, step, manner):
            return None
        answer = self._hear(line, family.patience, Page.read(step.said.body.strip(b"\x02\x03\x04\x05")))
        if answer is not None:
            return family.orders(answer)
        self._say(f"no answer in {family.patience:.0f} s")
        if family.cancels:
            send(line, replace(step, said=_cancelling(step.said)), manner)
        return {}

    def _hear(self, line: Waiting, seconds: float, question: Page | None) -> Answer | None:
        marks_ = self._mouth.driver.framing
        if marks_ is not None:
            text = hear.text(line, marks_, seconds)
            return None if text is None else Answer([Page.read(text)], (), question)
        session = hear.session(line, seconds)
        if session is None:
            return None
        return Answer([Page.read(message) for message in session.messages], session.frames, question)

    def _take_hl7(self, family: AsksHl7, line: Waiting, question: Page | None, seconds: float) -> Orders | None:
        heard, pages = hear.Blocks(line), list[Page]()
        while not family.over(pages):
            body = heard.next(seconds)
            if body is None:
                break
            page = Page.read(body)
            if page.lines[0].type == "MSH":
                pages.append(page)
                answer = family.reply(page, f"A{self._mouth.now:%H%M%S%f}{len(pages)}")
                line.line.write(mllp.block(answer) if answer else b"")
                self._replies += answer is not None
        if not pages:
            return None
        return family.orders(pages, question)

    def _take_block(self, family: AsksBlocks, line: Waiting, step: Step | None, heard: bytes) -> Orders:
        driver = self._mouth.driver
        framing = driver.framing or blocks.Framing()
        text = hear.text(line, framing, family.patience, heard)
        if text is None:
            if step:
                self._say(f"no answer in {family.patience:.0f} s")
                line.line.write(blocks.NAK if family.complains else b"")
            return {}
        question = blocks.texts(framing, step.said.body)[0].decode("latin-1") if step else ""
        orders = family.orders(text.decode("latin-1"), question)
        if orders and family.took:
            talk(line, [(marks.block(driver, family.took), blocks.ACK)], family.patience)
            self._replies += 1
        return orders

    def _listen(self, line: Waiting, manner: Manner) -> Orders | None:
        family = self._family
        if isinstance(family, Asks):
            answer = self._hear(line, IDLE, None)
            return None if answer is None else family.orders(answer)
        if isinstance(family, AsksHl7):
            return self._take_hl7(family, line, None, IDLE)
        if not family.poll:
            line.read(IDLE)
            return None
        heard = talk(line, [(marks.block(self._mouth.driver, family.poll), blocks.ACK)], manner.reply)
        orders = None if heard is None else self._take_block(family, line, None, heard)
        if not orders:
            line.read(IDLE)
        return orders


def _for_one(template: Template) -> Template:
    """A question about one tube: the first that was asked about."""
    if template.driver.speaks != "LIS2-A2":
        return template
    page = Page.read("".join(template.parts).encode("latin-1"))
    queries = [line for line in page.lines if line.type == "Q"]
    queries[0].put("3", (queries[0].whole(3) or "").split(queries[0].marks[1])[0])
    page.lines = [line for line in page.lines if line.type != "Q" or line is queries[0]]
    text = page.bytes().decode("latin-1")
    return replace(template, parts=(text,), decoded=decode(template.driver, text.encode("latin-1")))


def _cancelling(said: Said) -> Said:
    """The question again with Q-13 A, ended by L|1|T."""
    page = Page.read(said.body)
    for line in page.lines:
        if line.type == "Q":
            line.put("13", "A")
        elif line.type == "L":
            line.put("3", "T")
    return replace(said, body=page.bytes())
