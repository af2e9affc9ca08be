"""What holds for every page: tokens in forms, headers, error pages, strings, no names in addresses or logs."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import pytest
from jinja2 import nodes

from server.lab.app import routers
from server.lab.show import TEMPLATES, age, ago, interval, tube
from server.lab.web import NAV, local_path

ROOT = Path(__file__).parents[2]


def routes():
    return [route for router in routers() for route in router.routes]


OPEN = {"/login", "/api/docs"}
GETS = sorted({r.path for r in routes() if "GET" in r.methods} - OPEN)
POSTS = sorted({r.path for r in routes() if "POST" in r.methods})


def filled(path):
    return re.sub(r"\{[^}]+\}", "1", path)


@pytest.mark.parametrize("path", GETS)
def test_every_page_asks_who_is_there_and_comes_back(client_as, path):
    response = client_as(None).client.get(filled(path))
    back = "" if path in ("/", "/live") else f"?next={filled(path)}"  # /live is no page to come back to
    assert (response.status_code, response.headers["location"]) == (303, f"/login{back}")


@pytest.mark.parametrize("path", POSTS)
def test_every_form_needs_the_token(client_as, path):
    browser = client_as("technician")
    for csrf in ({}, {"csrf": ""}, {"csrf": "someone else's"}):
        response = browser.client.post(filled(path), data=csrf)
        assert response.status_code == 403 and "out of date" in response.text


@pytest.mark.parametrize("template", sorted(p.name for p in TEMPLATES.glob("*.html")))
def test_every_form_with_method_post_carries_the_token(template):
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    forms = re.findall(r"<form[^>]*method=\"post\"[^>]*>(.*?)</form>", text, re.DOTALL)
    assert [f[:80] for f in forms if "csrf_field" not in f] == []


@pytest.mark.parametrize("template", sorted(p.name for p in TEMPLATES.glob("*.html")))
def test_no_template_switches_escaping_off_or_carries_script(template):
    text = (TEMPLATES / template).read_text(encoding="utf-8").replace("{{ extra|safe }}", "")  # attributes we wrote
    forbidden = r"\|\s*safe|autoescape|style=\"|\son[a-z]+=\"|<script(?![^>]* src=)|(src|href)=\"(https?:)?//"
    assert re.findall(forbidden, text) == []


def test_every_word_of_the_templates_exists(app):
    strings = app.state.strings
    missing = []
    for path in sorted(TEMPLATES.glob("*.html")):
        tree = app.state.templates.parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            first = call.args[0] if call.args else None
            named = isinstance(call.node, nodes.Name) and call.node.name == "t"
            if named and isinstance(first, nodes.Const) and not strings.has(first.value):
                missing.append((path.name, first.value))
    assert missing == []


def test_every_refusal_is_said_in_hindi_too(app):
    """Each sentence an action refuses with stands in config/strings, with its Hindi."""
    missing = []
    for path in sorted([*(ROOT / "middleware").rglob("*.py"), *(ROOT / "server" / "lab").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raises = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and node.args
            sentence = spoken(node.args[0]) if raises else None
            said = sentence and not app.state.strings.has(sentence)
            if said and app.state.refusals.say(sentence, "hi") == sentence:
                missing.append(f"{path.name}: {sentence}")
    assert missing == []


def spoken(node):
    """The sentence of a literal or f-string, values filled with X; None when it is made elsewhere."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values)
    return None


def test_the_most_particular_refusal_wins(app):
    say = app.state.refusals.say
    assert say("This result is already released.", "en") == "This result is already released."
    assert "released" not in say("This result is already released.", "hi")
    assert say("No such sentence.", "hi") == "No such sentence."


def test_every_menu_entry_leads_to_a_page(app):
    paths = {r.path for r in routes() if "GET" in r.methods}
    assert [n.href for n in NAV if n.href not in paths] == []


def test_headers_of_every_answer(client_as):
    browser = client_as("technician")
    for path in ("/", "/nothing", "/static/app.css", "/users", "/healthz"):
        headers = browser.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert len(headers["x-request-id"]) == 16
    assert browser.client.get("/").headers["cache-control"] == "no-store"


def test_a_fault_of_ours_is_a_page_without_details(app, client_as, caplog):
    @app.get("/broken")
    def broken():
        raise RuntimeError("secret detail")

    browser = client_as("technician")
    browser.client._transport.raise_server_exceptions = False
    response = browser.client.get("/broken?name=Sunita")
    assert response.status_code == 500 and "secret detail" not in response.text
    assert response.headers["content-security-policy"]
    assert "Results from the analyzers are safe" in response.text
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("labmitra")]
    assert len(ours) == 1 and "Sunita" not in ours[0] and "/broken" in ours[0]


def test_nothing_of_a_search_is_logged(client_as, world, caplog):
    caplog.set_level(logging.DEBUG)
    world.result(world.order(), "HB")
    browser = client_as("technician")
    browser.post("/worklist/find", {"q": "Sunita"})
    browser.get("/worklist")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("labmitra")]
    assert "Sunita" not in " ".join(ours)


def test_a_body_too_large_or_without_length_is_not_read(client_as):
    browser = client_as("technician")
    assert browser.client.post("/worklist/find", content=b"x" * 600_000).status_code == 422
    assert browser.client.post("/worklist/find", content=iter([b"a"])).status_code == 422


def test_health_and_counters(client_as, world, lab):
    client = client_as(None).client
    assert client.get("/healthz").json() == {"ok": True}
    world.result(world.order(), "HB")
    text = client.get("/metrics").text
    assert 'labmitra_waiting{what="held"} 1.0' in text
    assert 'labmitra_pages_total{method="GET",route="/healthz",status="200"} 1.0' in text
    assert "Sunita" not in text


def test_health_says_when_the_database_is_gone(client_as, lab, monkeypatch):
    from sqlalchemy.exc import OperationalError

    from middleware.store import home_view

    def gone(conn):
        raise OperationalError("select 1", {}, Exception("gone"))

    monkeypatch.setattr(home_view, "answer", gone)
    response = client_as(None).client.get("/healthz")
    assert (response.status_code, response.json()["ok"]) == (503, False)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, None, ""), (None, "5", "≤ 5.0"), ("40", None, "≥ 40.0"), ("12", "15.04", "12.0 – 15.0")],
)
def test_interval(low, high, text):
    from decimal import Decimal

    assert interval(low and Decimal(low), high and Decimal(high), 1) == text


def test_tube():
    assert [tube(x) for x in ("107632600424", "QC-1", "", None)] == ["107-6326-0042-4", "QC-1", "", "–"]


def test_ages_and_waits_in_words(app):
    from datetime import UTC, date, datetime, timedelta

    words = {"t": lambda key, **v: app.state.strings.t(key, "en", **v)}
    on = date(2026, 11, 22)
    assert [age(words, b, on, p) for b, p in [
        (date(2026, 11, 10), "day"), (date(2026, 4, 1), "day"), (date(2024, 11, 23), "day"),
        (date(1981, 11, 23), "day"), (date(1968, 1, 1), "year"), (date(2027, 1, 1), "day"),
    ]] == ["12 days", "7 months", "23 months", "44 years", "~58 years", "0 days"]  # fmt: skip
    now = datetime(2026, 11, 22, tzinfo=UTC)
    waits = [
        timedelta(seconds=-5),
        timedelta(seconds=59),
        timedelta(minutes=59),
        timedelta(hours=47),
        timedelta(days=3),
    ]
    assert [ago(words, now - w, now) for w in waits] == ["just now", "just now", "59 min", "47 h", "3 days"]


@pytest.mark.parametrize(
    ("given", "safe"),
    [("/a?b=c#d", "/a?b=c#d"), ("http://x/", "/"), ("//x", "/"), ("/\\x", "/"), ("/a\\b", "/"), ("/a\r\nb", "/"),
     ("", "/")],
)  # fmt: skip
def test_local_path(given, safe):
    assert local_path(given) == safe
