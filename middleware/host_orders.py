"""Answers the questions of analyzers: what shall I run on this tube?

Turns a query and what is awaited into work orders in this analyzer's own codes. Law: built from the local database
alone, so it works without any network; only tests that this analyzer is mapped for are sent; a tube that is not ours is
"nothing known", never a guess; when the database cannot be read there is no answer now, for "no order" would be a lie.
Source: LIS02-A2 section 11; the drivers' own manuals for how each wants to be told.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from drivers.driver import Decoded, DecodeError, Driver, Kind, Message, MessageType, WireError, WorkOrder
from middleware.answers import Answer, NotNow, asks
from middleware.lab import Lab
from middleware.sample_id import normalise
from middleware.settings import AnalyzerSettings
from middleware.store.work_orders import AwaitedWork, awaited

log = logging.getLogger("labmitra.orders")
AWAY = "the orders cannot be looked up now, ask again"


def codes_for(driver: Driver, analyzer: AnalyzerSettings, catalogue: Iterable[str]) -> dict[str, str]:
    """Catalogue test → the code this analyzer knows it by: the site's own codes first, then the driver's.

    A well-behaved analyzer (`codes_are_catalogue`) is told the catalogue's own codes where neither names one. One whose
    codes only the site knows (`codes_are_the_sites`) is told those alone.
    """
    found: dict[str, str] = {}
    for test, code in _meanings(driver, analyzer, catalogue):
        if not analyzer.tests or test in analyzer.tests:
            found.setdefault(test, code)
    return found


def _meanings(driver: Driver, analyzer: AnalyzerSettings, catalogue: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(catalogue test, a code of this analyzer for it), those that count first first."""
    listed = {code: meaning.test for code, meaning in driver.tests.items()
              if meaning.kind is Kind.MEASUREMENT and meaning.test and not driver.codes_are_the_sites}  # fmt: skip
    own = {test: test for test in catalogue} if driver.codes_are_catalogue else {}
    for code, tests in (*analyzer.codes.items(), *listed.items(), *own.items()):
        yield from ((test, code) for test in tests.split("|"))


def _measured(decoded: Decoded, meanings: Iterable[tuple[str, str]]) -> dict[str | None, set[str]]:
    """Tube → the tests whose results stand beside the question in its message. They are on their way into the
    database, which still awaits them: to ask for them would run them twice."""
    rows = decoded.observations if decoded.type is MessageType.RESULT else ()
    tests: defaultdict[str | None, set[str]] = defaultdict(set)
    for code, tube in {(row.code, normalise(row.sample_id or "")) for row in rows if row.value}:
        tests[tube] |= {test for test, of in meanings if of == code}
    return tests


def work_order(
    work: AwaitedWork, codes: Mapping[str, str], asked: str, raw: str, done: Collection[str] = ()
) -> WorkOrder:
    """What to run on this tube, in the analyzer's codes, each once, but for the tests that are `done`. `asked` is the
    id as the analyzer wrote it."""
    mine = tuple(dict.fromkeys(codes[test] for test in work.tests if test in codes and test not in done))
    return replace(order_for(work, mine), sample_id=asked, query_raw=raw)


def order_for(
    work: AwaitedWork, codes: tuple[str, ...], cancelled: tuple[str, ...] = (), runs: tuple[tuple[str, int], ...] = ()
) -> WorkOrder:
    """This tube and its patient with these codes, under the tube's own number; `cancelled`, `runs`: see WorkOrder."""
    return WorkOrder(
        sample_id=work.sample_id, codes=codes, specimen=work.specimen, patient_id=work.patient_id, name=work.name,
        sex=work.sex, birth_date=f"{work.birth_date:%Y%m%d}", container=work.container, cancelled=cancelled, runs=runs,
    )  # fmt: skip


def answerer(lab: Lab, analyzer: AnalyzerSettings, driver: Driver) -> Answer:
    """What this line asks for each message that came: the messages to send back, None when nothing is said. NotNow when
    the database cannot be read."""
    codes = codes_for(driver, analyzer, lab.settings.catalogue)
    meanings = tuple(_meanings(driver, analyzer, lab.settings.catalogue))

    def answer(message: Message) -> list[bytes] | None:
        try:
            decoded = driver.decode(message)
        except (DecodeError, WireError):  # kept and shown by the pipeline
            return None
        if not asks(decoded):
            return None
        if analyzer.orders == "none":
            return _nothing(driver, decoded)
        asked = decoded.query_sample_ids
        numbers = {identity: normalise(identity) for identity in asked if not driver.unread(identity)}
        try:
            with lab.read() as conn:
                known = awaited(conn, {number for number in numbers.values() if number}, lab.now())
        except SQLAlchemyError as broken:
            log.error("%s is not answered: the lab database cannot be read (%s)", analyzer.name, type(broken).__name__)
            raise NotNow(AWAY) from broken
        raws = dict(zip(asked, decoded.query_raw, strict=False))
        done = _measured(decoded, meanings)
        orders = [
            work_order(known[number], codes, identity, raws.get(identity, ""), done.get(number, ()))
            for identity, number in numbers.items()
            if number in known
        ]
        return driver.answer(decoded, [order for order in orders if order.codes])

    return answer


def _nothing(driver: Driver, asked: Decoded) -> list[bytes] | None:
    """Results only: a question is left unanswered, but in blocks, where a turn is ended by an answer; so is a poll, by
    which some analyzers bring their results."""
    return driver.answer(asked, ()) if driver.speaks == "blocks" or asked.type is MessageType.POLL else None
