"""Answers the questions of analyzers: what shall I run on this tube?

Turns a query and what is awaited into work orders in this analyzer's own codes. Law: built from the local database
alone, so it works without any network; only tests that this analyzer is mapped for are sent; a tube that is not ours is
"nothing known", never a guess; when the database cannot be read nothing is said at all, for "no order" would be a lie.
Source: LIS02-A2 section 11; the drivers' own manuals for how each wants to be told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from drivers.driver import Decoded, DecodeError, Driver, Kind, Message, MessageType, WireError, WorkOrder
from middleware.lab import Lab
from middleware.sample_id import normalise
from middleware.settings import AnalyzerSettings
from middleware.store.work_orders import AwaitedWork, awaited

log = logging.getLogger("labmitra.orders")
ASKS = frozenset({MessageType.QUERY, MessageType.POLL})

Answerer = Callable[[Message], "list[bytes] | None"]


def codes_for(driver: Driver, analyzer: AnalyzerSettings, catalogue: Iterable[str]) -> dict[str, str]:
    """Catalogue test → the code this analyzer knows it by: the site's own codes first, then the driver's.

    A well-behaved analyzer (`codes_are_catalogue`) is told the catalogue's own codes where neither names one. One whose
    codes only the site knows (`codes_are_the_sites`) is told those alone.
    """
    listed = {code: meaning.test for code, meaning in driver.tests.items()
              if meaning.kind is Kind.MEASUREMENT and meaning.test and not driver.codes_are_the_sites}  # fmt: skip
    found: dict[str, str] = {}
    own = {test: test for test in catalogue} if driver.codes_are_catalogue else {}
    for code, tests in (*analyzer.codes.items(), *listed.items(), *own.items()):
        for test in tests.split("|"):
            if not analyzer.tests or test in analyzer.tests:
                found.setdefault(test, code)
    return found


def work_order(work: AwaitedWork, codes: Mapping[str, str], asked: str, raw: str) -> WorkOrder:
    """What to run on this tube, in the analyzer's codes, each once. `asked` is the id as the analyzer wrote it."""
    mine = tuple(dict.fromkeys(codes[test] for test in work.tests if test in codes))
    return replace(order_for(work, mine), sample_id=asked, query_raw=raw)


def order_for(
    work: AwaitedWork, codes: tuple[str, ...], cancelled: tuple[str, ...] = (), runs: tuple[tuple[str, int], ...] = ()
) -> WorkOrder:
    """This tube and its patient with these codes, under the tube's own number; `cancelled`, `runs`: see WorkOrder."""
    return WorkOrder(
        sample_id=work.sample_id, codes=codes, specimen=work.specimen, patient_id=work.patient_id, name=work.name,
        sex=work.sex, birth_date=f"{work.birth_date:%Y%m%d}", container=work.container, cancelled=cancelled, runs=runs,
    )  # fmt: skip


def answerer(lab: Lab, analyzer: AnalyzerSettings, driver: Driver) -> Answerer:
    """What this line asks for each message that came: the messages to send back, None when nothing is said."""
    codes = codes_for(driver, analyzer, lab.settings.catalogue)

    def answer(message: Message) -> list[bytes] | None:
        try:
            decoded = driver.decode(message)
        except (DecodeError, WireError):  # kept and shown by the pipeline
            return None
        if decoded.type not in ASKS:
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
            return None
        raws = dict(zip(asked, decoded.query_raw, strict=False))
        orders = [
            work_order(known[number], codes, identity, raws.get(identity, ""))
            for identity, number in numbers.items()
            if number in known
        ]
        return driver.answer(decoded, [order for order in orders if order.codes])

    return answer


def _nothing(driver: Driver, asked: Decoded) -> list[bytes] | None:
    """Results only: a question is left unanswered, but in blocks, where a turn is ended by an answer; so is a poll, by
    which some analyzers bring their results."""
    return driver.answer(asked, ()) if driver.speaks == "blocks" or asked.type is MessageType.POLL else None
