"""What every answer carries, the page that proves a report genuine, and what the logs keep."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from middleware.model import ReportStatus
from server import verify
from server.reports import pages
from server.reports.app import create_app
from server.reports.logs import HideValues, MaskTokens, mask_logs, masked_path

SLIP = "8K3F9QXZ2M7TWB4D"
CONFIG = Path(__file__).parents[2] / "config"

# What is said here follows from the rows that test_gate and test_intake read and write on both engines.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ON_SQLITE
@pytest.mark.parametrize(
    "path",
    ["/", f"/{SLIP}", "/nonsense/deep/path", "/robots.txt", "/verify/X", "/healthz", "/api/v1/reports/X", "/a" * 99],
)
def test_every_answer_carries_the_headers(service: Any, path: str) -> None:
    service.put()
    for answer in (service.client.get(path), service.client.head(path), service.client.post(path)):
        head = {name: answer.headers.get(name) for name in (
            "cache-control", "referrer-policy", "x-content-type-options", "x-robots-tag", "strict-transport-security",
        )}  # fmt: skip
        assert head == {
            "cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex, nofollow, noarchive",
            "strict-transport-security": "max-age=31536000; includeSubDomains",
        }  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy and "http" not in policy


@ON_SQLITE
def test_the_style_sheet_may_be_kept(service: Any) -> None:
    answer = service.client.get("/style.css")
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == (
        "public, max-age=86400", "text/css; charset=utf-8",
    )  # fmt: skip
    assert len(answer.content) < 20_000 and "http" not in answer.text


def test_without_https_nothing_asks_for_it(settings: Any, strings: Any) -> None:
    from dataclasses import replace

    from fastapi.testclient import TestClient

    plain = replace(settings, public_url="http://127.0.0.1:8090")
    with TestClient(create_app(plain, strings, CONFIG, ticker=False)) as client:
        assert "strict-transport-security" not in client.get("/healthz").headers
        assert client.get("/healthz").json() == {"status": "ok"}


@ON_SQLITE
def test_pages_hold_no_script_and_no_foreign_address(service: Any) -> None:
    service.put()
    texts = [service.client.get(f"/{SLIP}").text, service.try_pin("000000").text, service.try_pin().text,
             service.client.get("/nope").text, service.client.get("/verify/X").text]  # fmt: skip
    for text in texts:
        page = BeautifulSoup(text, "html.parser")
        assert page.find_all(["script", "iframe", "object"]) == []
        addresses = [
            tag.get(name) for tag in page.find_all(True) for name in ("href", "src", "action") if tag.get(name)
        ]
        assert all(a.startswith(("/", "data:,", "?")) for a in addresses), addresses
        assert page.find(style=True) is None


@ON_SQLITE
@pytest.mark.parametrize(("lang", "other"), [("hi", "en"), ("en", "hi")])
def test_the_gate_is_one_labelled_number_field_and_a_switch(service: Any, lang: str, other: str) -> None:
    service.put()
    page = BeautifulSoup(service.client.get(f"/{SLIP}?lang={lang}").text, "html.parser")
    field = page.find("input")
    assert page.html["lang"] == lang
    assert (field["inputmode"], field["autocomplete"], field["id"]) == ("numeric", "off", page.find("label")["for"])
    assert page.find("a", class_="switch")["href"] == f"/{SLIP}?lang={other}"


@ON_SQLITE
def test_the_language_is_the_asked_then_the_registered_then_hindi(service: Any) -> None:
    def spoken(path: str) -> str:
        return str(BeautifulSoup(service.client.get(path).text, "html.parser").html["lang"])

    service.put(access=service.access(language="en"))
    found = [spoken(p) for p in (f"/{SLIP}", f"/{SLIP}?lang=hi", f"/{SLIP}?lang=fr", "/ZZZZZZZZZZZZZZZZ", "/")]
    assert found == ["en", "hi", "en", "hi", "hi"]


def address(service: Any, report: Any) -> str:
    return verify.verify_url("https://r.example", report).removeprefix("https://r.example") + "&lang=en"


@ON_SQLITE
def test_the_qr_page_proves_a_report_without_the_patient(service: Any) -> None:
    service.put()
    page = service.client.get(address(service, service.report()))
    assert page.status_code == 200
    shown = BeautifulSoup(page.text, "html.parser").find("section").get_text(" ", strip=True)
    assert shown == (
        "Is this report genuine? Yes. This laboratory issued this report. "
        "Report No. DDU-261122-0001 Version 1 Laboratory DDU Hospital, Varanasi Issued 22-11-2026 12:00 "
        "This is the newest version. Compare these lines with the paper. The results are not shown here: if you doubt "
        "one, ask the laboratory."
    )
    assert service.state()["delivery"]["opened"] == 0


@ON_SQLITE
def test_an_old_version_is_genuine_but_replaced_and_a_withdrawn_one_is_named(service: Any) -> None:
    service.put()
    service.put(service.report(version=2, status=ReportStatus.AMENDED), service.access(serial=2))
    old = service.client.get(address(service, service.report()))
    assert (old.status_code, "replaced by a newer version (2)" in old.text) == (200, True)
    service.put(access=service.access(serial=3, withdrawn=True))
    assert "has withdrawn this report" in service.client.get(address(service, service.report())).text


@ON_SQLITE
@pytest.mark.parametrize(
    "query",
    ["", "?v=1", "?v=1&h=", "?v=1&h=0000000000000000", "?v=2&h={h}", "?v=one&h={h}", "?v=1&h={short}", "?v=٣&h={h}"],
)
def test_a_forged_paper_is_not_confirmed(service: Any, query: str) -> None:
    service.put()
    h = verify.digest(service.report())[:16]
    page = service.client.get("/verify/DDU-261122-0001" + query.format(h=h, short=h[:15]))
    other = service.client.get("/verify/DDU-000000-0000" + query.format(h=h, short=h[:15]))
    assert (page.status_code, page.text) == (404, other.text)
    assert "डीडीयू" not in page.text


@ON_SQLITE
def test_openapi_tells_of_the_laboratories_calls_only(service: Any) -> None:
    told = service.client.get("/api/v1/openapi.json").json()
    assert sorted(told["paths"]) == [
        "/api/v1/notices/{notice_id}",
        "/api/v1/reports/{report_no}",
        "/api/v1/reports/{report_no}/versions/{version}",
        "/healthz",
    ]
    assert [service.client.get(p).status_code for p in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 404]


def test_our_own_failure_says_sorry_and_nothing_else(settings: Any, strings: Any, monkeypatch: Any) -> None:
    from fastapi.testclient import TestClient

    def broken(*_: object) -> None:
        raise RuntimeError("Rekha Devi 7.1")

    monkeypatch.setattr(pages.gate, "look", broken)
    app = create_app(settings, strings, CONFIG, ticker=False)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get(f"/{SLIP}?lang=en")
    assert (answer.status_code, "Something went wrong" in answer.text, "Rekha" in answer.text) == (500, True, False)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (f"/{SLIP}?lang=hi", "/…"), (f"/{SLIP}/pdf?lang=hi", "/…/pdf"), (f"/{SLIP}/not-mine", "/…/not-mine"),
        ("/verify/DDU-1?v=1&h=12", "/verify/…"), ("/sms/dlr/s3cret", "/sms/dlr/…"), ("/", "/"),
        ("/healthz", "/healthz"),
        ("/api/v1/reports/DDU-1", "/api/v1/reports/DDU-1"), ("/Rekha%20Devi/x/y", "/…"),
    ],
)  # fmt: skip
def test_the_access_log_names_no_link(path: str, kept: str) -> None:
    assert masked_path(path) == kept
    record = logging.LogRecord(
        "uvicorn.access", 20, "", 1, '%s - "%s %s HTTP/%s" %d', ("1.2.3.4", "GET", path, "1.1", 200), None
    )
    assert MaskTokens().filter(record)
    assert record.getMessage() == f'1.2.3.4 - "GET {kept} HTTP/1.1" 200'


def test_a_failure_is_logged_without_its_words() -> None:
    try:
        raise ValueError("Rekha Devi 7.1")
    except ValueError:
        record = logging.LogRecord("uvicorn.error", 40, "", 1, "Exception in ASGI application", (), sys.exc_info())
    assert HideValues().filter(record)
    text = logging.Formatter().format(record)
    assert "ValueError at " in text and "test_pages.py" in text and "Rekha" not in text


def test_masking_twice_is_masking_once() -> None:
    mask_logs()
    mask_logs()
    assert [type(f) for f in logging.getLogger("uvicorn.access").filters].count(MaskTokens) == 1


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("Mozilla/5.0 (Linux; Android 6.0; XT1068) AppleWebKit/537 Chrome/74.0 Mobile Safari/537", "Android Chrome"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) Version/15.0 Safari/604.1", "iPhone Safari"),
        ("Mozilla/5.0 (Mobile; Nokia_8110; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", "KaiOS Firefox"),
        ("curl/8", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_the_log_keeps_a_coarse_kind_of_phone(agent: str, kind: str) -> None:
    assert pages.coarse(agent) == kind


@ON_SQLITE
def test_nothing_of_the_patient_is_logged(service: Any, caplog: pytest.LogCaptureFixture) -> None:
    from server.reports.sms import GatewayError, Kind

    caplog.set_level(logging.DEBUG)
    service.gateway.trouble = [GatewayError(Kind.TRANSPORT, "down"), GatewayError(Kind.REJECTED, "template")]
    service.put()
    service.send()
    service.clock.forward(minutes=1)
    service.send()
    service.try_pin("000000")
    service.try_pin()
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("httpx2", "asyncio")))
    assert "98xxxxxx10" in ours
    assert [w for w in ("Rekha", "9876543210", "402817", SLIP, "7.1") if w in ours] == []
