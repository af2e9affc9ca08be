"""The counter's and the bench's pages in real Chromium: no horizontal overflow, axe finds nothing serious, in Hindi and
English, on a laptop's and a phone's screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from middleware import pipeline
from middleware.actions import results
from middleware.alarm_settings import AlarmKind
from middleware.alarms import end_alarm, raise_alarm
from middleware.journal import Journal
from middleware.model import Actor, Role
from middleware.schema import AnalyzerState, ControlRow, ControlTarget, DeliveryState, LineAlarm
from middleware.store import put, table

SIZES = {"laptop": {"width": 1366, "height": 768}, "phone": {"width": 390, "height": 844}}
MESSAGE = (
    "H|\\^&|||XN-550^00-11^11001^^^^12345678||||||||E1394-97\rP|1\rO|1||^^    {}^B|^^^^HGB|||||||N||||||||||||||F\r"
    "R|1|^^^^HGB^1|12.9|g/dL||N||||||20261122100000\rR|2|^^^^NEW^1|1.5|%||N||||||20261122100000\r"
    "R|3|^^^^SCAT_WDF|PNG&R&20261122&R&2026_11_22_10_00_a_name_without_any_blank_WDF.PNG|||N||||||20261122100000\rL|1|N\r"
)


@pytest.fixture
def day(lab: Any, world: Any, actor: Callable[[str], Actor]) -> Iterator[dict[str, Any]]:
    """A lab with something on every page; the addresses."""
    now = lab.now()
    sunita = world.patient(name="Sunita Devi", guardian="Ram Lal")
    done = world.order(sunita, tests=("HB",), sms_mobile="+919812345670")
    (number,) = results.release(lab, actor("technician"), [world.result(done, "HB", "10.1", flag="L")]).reports
    open_order = world.order(sunita, tests=("HB", "PLT", "UPRO", "USG"))
    world.order(world.patient(name="राम लाल यादव", sex="M"), tests=("TSH",), sample_state="collected")
    with lab.write() as conn:
        put(conn, AnalyzerState, analyzer="xn550", connected=True, since=now - timedelta(hours=2), messages_today=3,
            refused_today=1, trouble="Two frames had a wrong checksum; the analyzer sent them again.",
            handshake_at=now - timedelta(hours=3), message_at=now, parsed_at=now - timedelta(hours=1), failed_at=now,
            result_at=now - timedelta(days=3), unfiled_at=now, drift_seconds=-7500, rhythm="learned", rhythm_days=55,
            usual_gap_seconds=1500, updated_at=now)  # fmt: skip
        for kind in AlarmKind:
            name = "" if kind is AlarmKind.JOURNAL else "xn550"
            raise_alarm(lab, conn, kind, name, since=now.isoformat(), usual=1500, minutes=-125, count=12)
            conn.execute(table(LineAlarm).update().values(notice_state="queued", notice_error="service not reached"))
        end_alarm(lab, conn, AlarmKind.DOWN, "xn550")
        put(conn, DeliveryState, report_no=number, status="failed", opened=2, checked_at=now,
            detail={"sms": [{"version": 1, "to": "98xxxxxx70", "status": "failed", "error": "operator: 5",
                             "changed_at": "2026-11-22T04:31:00+00:00"}], "not_mine": ["x"]})  # fmt: skip
        target = put(conn, ControlTarget, analyzer="xn550", lot="QC-61450811", level="L2", test="HB",
                     mean=Decimal("12.0"), sd=Decimal("0.2"), provisional=True,
                     expires=now.date() + timedelta(days=20), valid_from=now, set_by="Pathologist Devi",
                     note="insert of the lot")  # fmt: skip
        for n in range(24):
            value = Decimal("12.0") + Decimal(n * 7 % 11 - 5) * Decimal("0.08") + (Decimal("0.6") if n == 17 else 0)
            put(conn, ControlRow, identity=f"c{n}", message_id="m", ordinal=n, analyzer="xn550", lot="QC-61450811",
                code="HGB", test="HB", verbatim=str(value), value=value, unit="g/dL", observed_at=None,
                received_at=now - timedelta(days=24 - n), target_id=target, excluded=n == 17,
                excluded_note="bubble in the vial" if n == 17 else "")  # fmt: skip
    journal = Journal.open(lab.settings.journal)
    session = journal.session("xn550", "LIS2-A2", "10.0.0.7")
    body = MESSAGE.format(open_order.sample_id).encode()
    message = journal.message(session, body)
    journal.append(session, b"\x05", "ENQ")
    journal.append(session, b"\x021" + body + b"\x033F\r\n", "frame 1", frame=True, messages=(message,))
    journal.append(session, b"\x04", "EOT", ends="eot")
    journal.close()
    pipeline.process(lab, message)
    world.unmatched(code="718-7", name="Hemoglobin with a long name of its own", rule="unknown_code")
    world.unmatched(code="HGB", rule="unknown_code")
    yield {
        "technician": [
            "/register", f"/register?patient={sunita}", f"/orders/{open_order.order_id}", "/receive", "/patients",
            f"/patients/{sunita}", "/enter", f"/enter/sample/{open_order.id}",
            f"/samples/{open_order.id}", "/reports", f"/reports/{number}", "/qc",
            "/analyzers",
        ],
        "pathologist": ["/qc/xn550/QC-61450811/HB", f"/reports/{number}?lang=hi"],
        "engineer": [
            "/analyzers/xn550", "/messages", f"/messages/{message.id}", "/api/docs", "/add-analyzer?q=sysmex",
            "/add-analyzer?driver=snibe_maglumi", "/add-analyzer/e411", "/codes",
        ],
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("role", [Role.TECHNICIAN.value, Role.PATHOLOGIST.value, Role.ENGINEER.value])
def test_every_page_fits_and_is_accessible(log_in, site, accessible, day, page, role, language):
    log_in(role, language)
    for url in day[role]:
        for name, size in SIZES.items():  # the same page, as when a phone or a window is turned
            page.set_viewport_size(size)
            if name == "laptop":
                page.goto(site + url)
                assert page.locator("html").get_attribute("lang") == language
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{url} is {wide} px wider than the screen of a {name}"
            page.wait_for_load_state("load")
            accessible(page)
