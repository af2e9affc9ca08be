"""Orders that analyzers are sent unasked, as the lab database holds them: what is pending, sent, refused, told once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.wire import hl7, lis2a
from middleware.actions import register as registering
from middleware.actions import results, samples
from middleware.downloads import Basket, Outcome
from middleware.order_desk import OrderDesk
from middleware.schema import OrderDownload, Sample
from middleware.settings import AnalyzerSettings
from middleware.store import downloads
from server.demo.stage import Stage
from tests.conftest import ON_SQLITE
from tests.labs import BENCH, Desk, lately
from tests.system.support import ByHand, on_stage, start_middleware, until

PUSHED = replace(BENCH, name="pushed", orders="push", tests=frozenset({"HB", "PLT", "GLUF", "UREA", "CREAT"}))
LAW = replace(BENCH, name="law", driver="generic_hl7", orders="push", tests=frozenset({"UREA", "CREAT"}))
ERBA = replace(BENCH, name="erba", driver="erba_xl", orders="push")


class Office:
    """An order desk without its thread, and the far end of its baskets."""

    def __init__(self, desk: Desk, *analyzers: AnalyzerSettings) -> None:
        self.desk = desk
        settings = replace(desk.lab.settings, analyzers=analyzers or (PUSHED,))
        self.lab = replace(desk.lab, settings=settings)
        self.orders = OrderDesk(self.lab)
        self.basket: Basket = next(iter(self.orders.baskets.values()))

    def sent(self, outcome: Outcome = Outcome.SENT, why: str = "") -> list[list[tuple[str, str, list[str]]]]:
        """One look of the desk; every message is taken, in the words of ASTM orders: (sample, action, codes)."""
        self.orders.turn()
        told = []
        while (download := self.basket.take()) is not None:
            told += [said(body) for body in download.messages]
            self.basket.tell(download, outcome, why)
        self.orders.turn(last=True)
        return told

    def rows(self) -> list[dict[str, Any]]:
        return self.desk.rows(OrderDownload)

    @property
    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]


def said(body: bytes) -> list[tuple[str, str, list[str]]]:
    """What one message orders."""
    if body.startswith(b"MSH"):
        segments = hl7.parse(body)
        tube = next(segment["3"] or "" for segment in segments if segment.type == "SAC")
        controls = [segment["1"] or "" for segment in segments if segment.type == "ORC"]
        codes = [segment["4.1"] or "" for segment in segments if segment.type == "OBR"]
        return [(tube, control, [code]) for control, code in zip(controls, codes, strict=True)]
    orders = [record for record in lis2a.parse(body) if record.type == "O"]
    parts = [[repeat.split("^")[3] for repeat in order.repeats(5)] for order in orders]
    return [(order["3.1"] or "", order["12"] or "", codes) for order, codes in zip(orders, parts, strict=True)]


@pytest.fixture
def office(desk: Desk) -> Office:
    return Office(desk)


def test_a_registered_tube_is_told_once_with_its_own_tests_only(office: Office, desk: Desk) -> None:
    made = desk.register("HB", "TSH")
    assert office.sent() == [[(desk.sample_id(made), "A", ["HB"])]]
    (row,) = office.rows()
    assert (row["state"], row["told"], row["sent_at"]) == ("sent", {"HB": ["HB", 0]}, desk.clock())
    assert office.sent() == []
    desk.register("TSH")
    assert office.sent() == [], "nothing of it is measured there"


@ON_SQLITE
def test_what_is_added_and_cancelled_is_told_as_a_change(office: Office, desk: Desk) -> None:
    made = desk.register("UREA")
    tube = desk.sample_id(made)
    assert office.sent() == [[(tube, "A", ["UREA"])]]
    registering.add_tests(desk.lab, desk.reception, made.order_id, ("CREAT",))
    assert office.sent() == [[(tube, "A", ["CREAT"])]]
    registering.cancel_test(desk.lab, desk.reception, desk.test(made, "UREA")["id"], "not needed")
    assert office.sent() == [[(tube, "C", ["UREA"])]]
    assert office.rows()[0]["told"] == {"CREAT": ["CREAT", 0]}
    assert office.sent() == []


@ON_SQLITE
def test_added_and_cancelled_before_anybody_was_told_is_nothing(office: Office, desk: Desk) -> None:
    made = desk.register("UREA", "CREAT")
    registering.cancel_test(desk.lab, desk.reception, desk.test(made, "UREA")["id"], "not needed")
    assert office.sent() == [[(desk.sample_id(made), "A", ["CREAT"])]]


def test_a_rejected_tube_is_cancelled_and_the_new_one_ordered(office: Office, desk: Desk) -> None:
    made = desk.register("HB")
    old = desk.sample_id(made)
    office.sent()
    samples.reject_sample(desk.lab, desk.technician, made.sample_pks[0], "clotted", ask_new=True)
    told = office.sent()
    assert [(old, "C", ["HB"])] in told and len(told) == 2
    assert told[1][0][0] != old or told[0][0][0] != old
    assert sorted(office.states) == ["done", "sent"]


def test_a_result_ends_it_and_its_rejection_orders_it_again(office: Office, desk: Desk) -> None:
    made = desk.register("HB", "PLT")
    tube = desk.sample_id(made)
    office.sent()
    (hb, _plt) = desk.say(tube, "HB=13.0 g/dL", "PLT=250 10*3/uL")
    assert office.sent() == []
    assert office.states == ["done"]
    results.reject(desk.lab, desk.technician, hb, "clot in the tube")
    assert office.sent() == [[(tube, "A", ["HB"])]]
    assert office.sent() == []


@ON_SQLITE
def test_a_result_rejected_before_the_desk_looked_is_ordered_again(office: Office, desk: Desk) -> None:
    made = desk.register("HB")
    tube = desk.sample_id(made)
    office.sent()
    (hb,) = desk.say(tube, "HB=13.0 g/dL")
    results.reject(desk.lab, desk.technician, hb, "clot in the tube")
    assert office.sent() == [[(tube, "A", ["HB"])]]


@ON_SQLITE
def test_days_without_a_line_and_a_restart_lose_nothing_and_send_the_newest(desk: Desk) -> None:
    office = Office(desk)
    first, second = desk.register("HB"), desk.register("UREA")
    office.orders.turn()
    assert office.basket.waiting and office.states == ["pending", "pending"]
    taken = office.basket.take()  # and the computer stops: nobody knows whether it was sent
    assert taken is not None
    desk.clock.forward(days=3)
    registering.add_tests(desk.lab, desk.reception, second.order_id, ("CREAT",))
    again = Office(desk)
    assert again.sent() == [
        [(desk.sample_id(first), "A", ["HB"])], [(desk.sample_id(second), "A", ["UREA", "CREAT"])],
    ]  # fmt: skip


@ON_SQLITE
def test_a_change_while_it_is_on_its_way_is_told_next(office: Office, desk: Desk) -> None:
    made = desk.register("UREA")
    tube = desk.sample_id(made)
    office.orders.turn()
    taken = office.basket.take()
    registering.add_tests(desk.lab, desk.reception, made.order_id, ("CREAT",))
    office.orders.turn()
    assert taken is not None and not office.basket.waiting, "not twice at a time"
    office.basket.tell(taken, Outcome.SENT)
    assert office.sent() == [[(tube, "A", ["CREAT"])]]


def test_what_is_refused_waits_for_a_change_and_says_why(office: Office, desk: Desk) -> None:
    made = desk.register("UREA")
    office.sent(Outcome.REFUSED, "AR no such tube")
    assert office.sent() == [] and office.states == ["refused"]
    with desk.lab.read() as conn:
        seen = downloads.waiting(conn)["pushed"]
    assert (seen.pending, seen.refused, seen.last_refusal, seen.refused_at) == (0, 1, "AR no such tube", desk.clock())
    registering.add_tests(desk.lab, desk.reception, made.order_id, ("CREAT",))
    assert office.sent() == [[(desk.sample_id(made), "A", ["UREA", "CREAT"])]]


def tried(office: Office, times: int) -> list[float]:
    """Seconds between the tries, each of which fails."""
    waits = []
    for _ in range(times):
        before = office.desk.clock()
        while not office.sent(Outcome.FAILED, "no answer to ENQ"):
            office.desk.clock.forward(seconds=10)
        waits.append((office.desk.clock() - before).total_seconds())
    return waits


@ON_SQLITE
def test_what_fails_is_tried_again_after_pauses_that_grow(office: Office, desk: Desk) -> None:
    desk.register("HB")
    assert tried(office, 4) == [0, 30, 60, 120]
    assert [(row["state"], row["tries"], row["why"]) for row in office.rows()] == [("pending", 4, "no answer to ENQ")]


@ON_SQLITE
def test_an_analyzer_that_does_not_listen_is_not_rung_up_for_each_of_its_orders(office: Office, desk: Desk) -> None:
    desk.register("HB")
    office.orders.turn()
    taken = office.basket.take()
    assert taken is not None
    office.basket.tell(taken, Outcome.FAILED, "no answer to ENQ")
    desk.register("PLT")
    office.orders.turn()
    assert not office.basket.waiting
    desk.clock.forward(seconds=30)
    assert [codes for ((_, _, codes),) in office.sent()] == [["PLT"], ["HB"]], "what has not failed goes first"


@ON_SQLITE
def test_a_clock_that_is_set_back_holds_nothing_up(office: Office, desk: Desk) -> None:
    desk.register("HB")
    tried(office, 2)
    desk.clock.forward(hours=-3)
    assert len(office.sent()) == 1


@ON_SQLITE
def test_a_clock_that_leaps_and_is_set_right_again_loses_nothing(office: Office, desk: Desk) -> None:
    desk.register("HB")
    office.orders.turn()
    desk.clock.forward(days=4000)
    Office(desk).orders.turn()
    assert office.states == ["lapsed"]
    desk.clock.forward(days=-4000)
    assert len(Office(desk).sent()) == 1


@ON_SQLITE
def test_an_analyzer_that_is_heard_again_is_sent_what_waits_at_once(office: Office, desk: Desk) -> None:
    desk.register("HB")
    tried(office, 3)
    office.basket.wake()
    assert len(office.sent()) == 1
    assert office.states == ["sent"]


def test_a_tube_that_is_too_old_is_not_run(office: Office, desk: Desk) -> None:
    desk.register("HB")
    office.orders.turn()
    desk.clock.forward(days=15)
    assert Office(desk).sent() == []
    assert office.states == ["lapsed"]


@ON_SQLITE
def test_law_is_told_in_oml_and_cancels_by_ca(desk: Desk) -> None:
    office = Office(desk, LAW)
    made = desk.register("UREA", "CREAT")
    tube = desk.sample_id(made)
    assert office.sent() == [[(tube, "NW", ["UREA"]), (tube, "NW", ["CREAT"])]]
    registering.cancel_test(desk.lab, desk.reception, desk.test(made, "UREA")["id"], "not needed")
    assert office.sent() == [[(tube, "CA", ["UREA"])]]


@ON_SQLITE
def test_law_gives_a_repeat_run_another_number_and_cancels_that(desk: Desk) -> None:
    office = Office(desk, LAW)
    made = desk.register("UREA")
    tube = desk.sample_id(made)

    def placers() -> list[str | None]:
        office.orders.turn()
        download = office.basket.take()
        assert download is not None
        office.basket.tell(download, Outcome.SENT)
        return [segment["2"] for body in download.messages for segment in hl7.parse(body) if segment.type == "ORC"]

    assert placers() == [f"{tube}-UREA"]
    (urea,) = desk.say(tube, "UREA=30 mg/dL")
    results.reject(desk.lab, desk.technician, urea, "clot in the tube")
    assert placers() == [f"{tube}-UREA-{urea}"]
    registering.cancel_test(desk.lab, desk.reception, desk.test(made, "UREA")["id"], "not needed")
    assert placers() == [f"{tube}-UREA-{urea}"]


@ON_SQLITE
def test_a_family_that_cannot_be_told_a_cancel_is_told_nothing(desk: Desk) -> None:
    office = Office(desk, ERBA)
    made = desk.register("UREA", "CREAT")
    assert len(office.sent()) == 1
    registering.cancel_test(desk.lab, desk.reception, desk.test(made, "UREA")["id"], "not needed")
    assert office.sent() == []
    assert [list(row["told"]) for row in office.rows()] == [["CREAT"]]


@ON_SQLITE
def test_only_analyzers_that_are_pushed_have_a_basket(desk: Desk) -> None:
    office = Office(desk, BENCH, replace(PUSHED, enabled=False, name="off"), PUSHED, replace(LAW, orders="none"))
    assert list(office.orders.baskets) == ["pushed"]


def set_to_push(stage: Stage, name: str) -> None:
    path = stage.config / "analyzers.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f'name = "{name}"\n', f'name = "{name}"\norders = "push"\n', 1), encoding="utf-8")


def taken_by(far: ByHand) -> bytes:
    """The text of one session of the host, taken frame by frame."""
    text = b""
    assert far.ask(b"") == b"\x05"
    while True:
        first = far.ask(b"\x06")
        if first == b"\x04":
            return text
        frame = first
        while not frame.endswith(b"\n"):
            frame += far.ask(b"")
        text += frame[2:-5]


@ON_SQLITE
def test_the_real_middleware_sends_what_waited_when_somebody_comes(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    """The whole way: the middleware before it was stopped with nobody connected; it starts, the analyzer connects."""
    desk.clock.at = lately().at
    made = desk.register("TSH", "HB")
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        set_to_push(stage, "e411")
        before = stage.lab()
        OrderDesk(before).turn()
        before.engine.dispose()
        assert [row["state"] for row in desk.rows(OrderDownload)] == ["pending"]
        start_middleware(stage, processes)
        with ByHand(("127.0.0.1", stage.ports[9102])) as far:
            text = taken_by(far)
            until(lambda: desk.rows(OrderDownload)[0]["state"] == "sent", "it is written that it was sent")
    (order,) = [record for record in lis2a.parse(text) if record.type == "O"]
    tube = next(pk for pk in made.sample_pks if desk.test(made, "TSH")["sample_pk"] == pk)
    assert (order["3"], order["5"]) == (desk.one(Sample, id=tube)["sample_id"], "^^^8^")
    assert desk.one(OrderDownload)["told"] == {"TSH": ["8", 0]}
