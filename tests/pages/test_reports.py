"""Reports: how far each got, printing without the report service, sending again, correcting the number, withdrawing."""

from __future__ import annotations

from datetime import timedelta

import pypdfium2
import pytest

from middleware.actions import results
from middleware.schema import AuditRow, DeliveryState, HandoverRow, Order, ReportRow, ResultRow
from middleware.store import change, put


@pytest.fixture
def issued(world, lab, actor):
    """`issued()` is the number of a report that was just issued, for a patient with a phone."""

    def issue(name: str = "Sunita Devi", value: str = "12.9", **order) -> str:
        sample = world.order(world.patient(name=name), tests=("HB",), sms_mobile="+919812345670", **order)
        return results.release(lab, actor("technician"), [world.result(sample, "HB", value)]).reports[0]

    return issue


def words(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


@pytest.mark.parametrize(("role", "status"), [("reception", 200), ("technician", 200), ("pathologist", 200),
                                              ("admin", 200), ("engineer", 403)])  # fmt: skip
def test_who_sees_reports(client_as, issued, role, status):
    number = issued()
    browser = client_as(role)
    for url in ("/reports", f"/reports/{number}", f"/reports/{number}/print.pdf", "/reports/report.css"):
        assert browser.client.get(url).status_code == status, url


@pytest.mark.parametrize(
    ("what", "allowed"),
    [("resend", {"reception", "technician", "pathologist"}), ("retry", {"reception", "technician", "pathologist"}),
     ("mobile", {"reception", "technician", "pathologist"}), ("withdraw", {"pathologist", "admin"})],
)  # fmt: skip
def test_who_may_change(client_as, issued, what, allowed):
    number = issued()
    for role in ("reception", "technician", "pathologist", "engineer", "admin"):
        answer = client_as(role).client.post(f"/reports/{number}/{what}", data={"csrf": "wrong"})
        assert answer.status_code == 403
        browser = client_as(role)
        answer = browser.client.post(f"/reports/{number}/{what}", data={"csrf": browser.session.csrf})
        assert (answer.status_code != 403) == (role in allowed), role


def test_problems_come_first_and_filters_work(client_as, world, lab, issued):
    good, refused, failed, waiting = (issued(name) for name in ("Asha", "Bina", "Chand", "Dev"))
    rows = {h["report_no"]: h["id"] for h in world.rows(HandoverRow)}
    with lab.write() as conn:
        change(conn, HandoverRow, rows[good], state="sent", sent_at=lab.now())
        change(conn, HandoverRow, rows[failed], state="sent", sent_at=lab.now())
        change(conn, HandoverRow, rows[refused], state="refused", last_error="report service refused it (422): bad")
        put(conn, DeliveryState, report_no=failed, status="failed", detail={}, opened=0, checked_at=lab.now())
        put(conn, DeliveryState, report_no=good, status="delivered", detail={}, opened=3, checked_at=lab.now())
    browser = client_as("reception")

    def names(url: str) -> list[str]:
        return [a.text for a in browser.get(url).select("tbody th a")]

    assert names("/reports") == [failed, refused, waiting, good]
    assert names("/reports?show=problem") == [failed, refused]
    assert names("/reports?show=queued") == [waiting]
    assert names("/reports?show=unopened") == [failed, refused, waiting]
    assert names("/reports?show=withdrawn") == []
    assert "Reports that need a person: 2" in browser.get("/reports").text
    row = next(r for r in browser.get("/reports").select("tbody tr") if good in r.text)
    assert [" ".join(td.text.split()) for td in row.select("td")[3:]] == [
        "✓stored there",
        "✓reached the phone",
        "3 ×",
    ]


def test_search_is_kept_in_the_session(client_as, issued):
    issued("Asha Kumari")
    number = issued("Bina Rai")
    browser = client_as("reception")
    assert browser.post("/reports", {"q": "bina"}).headers["location"] == "/reports?show=all"
    assert [a.text for a in browser.get("/reports").select("tbody th a")] == [number]
    browser.post("/reports", {"q": ""})
    assert len(browser.get("/reports").select("tbody tr")) == 2


def test_older_reports_are_found_by_their_span(client_as, clock, issued):
    old = issued()
    clock.forward(days=20)
    browser = client_as("reception")
    assert browser.get("/reports").select("tbody tr") == []
    assert [a.text for a in browser.get("/reports?span=month").select("tbody th a")] == [old]


def test_preview_and_pdf_in_both_languages_while_the_report_service_is_down(client_as, world, issued):
    number = issued()
    browser = client_as("technician")
    for lang, word in (("en", "Haemoglobin"), ("hi", "हीमोग्लोबिन")):
        preview = browser.get(f"/reports/{number}?lang={lang}").select_one(".preview article")
        assert preview["lang"] == lang and word in preview.text and "12.9" in preview.text
    english, hindi = (browser.client.get(f"/reports/{number}/print.pdf?lang={lang}") for lang in ("en", "hi"))
    assert "Sunita Devi" in words(english.content) and "Laboratory Report" in words(english.content)
    assert hindi.headers["content-disposition"] == f'inline; filename="{number}-v1-hi.pdf"'
    printed = [a["detail"]["language"] for a in world.rows(AuditRow, action="print report")]
    assert printed == ["en", "hi"]


def test_the_handovers_trouble_is_said_in_words(client_as, world, lab, issued):
    number = issued()
    (row,) = world.rows(HandoverRow)
    with lab.write() as conn:
        change(conn, HandoverRow, row["id"], attempts=4, last_error="report service not reached (ConnectError)",
               next_at=lab.now() + timedelta(minutes=20))  # fmt: skip
    browser = client_as("reception")
    assert "The report service is not reached (tries: 4)" in browser.get(f"/reports/{number}").text
    assert "handed over again now" in browser.post_page(f"/reports/{number}/retry").text
    assert world.rows(HandoverRow)[0]["next_at"] == lab.now()


def test_resend_queues_one_more_sms(client_as, world, issued):
    number = issued()
    assert "One more SMS" in client_as("reception").post_page(f"/reports/{number}/resend").text
    assert [h["payload"]["access"]["resend"] for h in world.rows(HandoverRow)] == [False, True]


def test_a_corrected_number_needs_a_reason_and_goes_out(client_as, world, issued):
    number = issued()
    browser, url = client_as("reception"), f"/reports/{number}/mobile"
    soup = browser.post_page(url, {"mobile": "12", "mobile_owner": "", "mobile_reason": ""}, 422)
    assert [w["id"] for w in soup.select(".wrong[id]")] == ["mobile-wrong", "mobile_reason-wrong"]
    assert soup.select_one("[name=mobile]")["value"] == "12"
    browser.post(url, {"mobile": "7012345678", "mobile_owner": "self", "sms_consent": "1", "mobile_reason": "typo"})
    assert world.rows(Order)[0]["sms_mobile"] == "+917012345678"
    assert world.rows(HandoverRow)[-1]["payload"]["access"]["mobile"] == "+917012345678"


def test_withdrawing_needs_reason_and_number_and_ends_printing(client_as, world, issued):
    number = issued()
    browser, url = client_as("pathologist"), f"/reports/{number}"
    soup = browser.post_page(f"{url}/withdraw", {"withdraw_reason": "", "withdraw_no": "VNS"}, 422)
    assert [w["id"] for w in soup.select(".wrong[id]")] == ["withdraw_reason-wrong", "withdraw_no-wrong"]
    assert world.rows(Order)[0]["withdrawn_at"] is None
    form = {"withdraw_reason": "tubes were swapped", "withdraw_no": number.lower()}
    assert "The report is withdrawn." in browser.post_page(f"{url}/withdraw", form).text
    assert world.rows(HandoverRow)[-1]["payload"]["access"]["withdrawn"] is True
    assert browser.client.get(f"{url}/print.pdf").status_code == 409
    assert browser.get(url).select(".preview article")
    counter = client_as("reception")
    soup = counter.get(url)
    assert not soup.select(".preview") and not soup.select("a[href*=print]")
    assert "Withdrawn on 22-11-2026 10:00" in soup.text


def test_versions_and_the_older_one(client_as, world, lab, actor, issued):
    number = issued()
    (row,) = world.rows(ReportRow)
    result = world.rows(ResultRow)[0]["id"]
    results.amend(lab, actor("technician"), result, "13.4", "13.4", "read again")
    browser = client_as("technician")
    soup = browser.get(f"/reports/{number}")
    assert "13.4" in soup.select_one(".preview").text
    older = browser.get(f"/reports/{number}?version=1")
    assert "This is the older version 1." in older.text and "12.9" in older.select_one(".preview").text
    assert [a["href"] for a in soup.select("section a.button[href^='/samples/']")] == ["/samples/1"]
    assert row["version"] == 1


def test_someone_said_not_mine(client_as, lab, issued):
    number = issued()
    sms = [{"version": 1, "to": "98xxxxxx70", "status": "failed", "changed_at": "2026-11-22T04:31:00+00:00",
            "error": "operator: 5"}]  # fmt: skip
    with lab.write() as conn:
        put(conn, DeliveryState, report_no=number, status="failed", opened=1, checked_at=lab.now(),
            detail={"not_mine": ["2026-11-22T05:00:00+00:00"], "sms": sms})  # fmt: skip
    soup = client_as("reception").get(f"/reports/{number}")
    assert "not my report" in soup.select_one(".notice.bad").text
    assert "98xxxxxx70" in soup.text and "operator: 5" in soup.text


def test_a_report_that_is_not_there(client_as):
    client_as("technician").get("/reports/NONE-1", 404)
