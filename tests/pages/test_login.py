"""Log in, log out, hand over the chair, own password, language; what ends a session."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from middleware.schema import AuditRow, User
from middleware.store import table
from server.lab.session import COOKIE

PASSWORD = "blue lamp river 7"


def token(soup):
    return soup.select_one("form[action='/login'] [name=csrf]")["value"]


@pytest.fixture
def door(client_as):
    """An anonymous browser and a function that logs in with it as a person would."""
    client = client_as(None).client

    def log_in(username="technician", password=PASSWORD, goes_to="/"):
        soup = BeautifulSoup(client.get("/login").text, "html.parser")
        form = {"csrf": token(soup), "username": username, "password": password, "next": goes_to}
        return client.post("/login", data=form)

    return client, log_in


def test_log_in_leads_to_the_page_that_was_asked_for(door):
    client, log_in = door
    response = log_in(goes_to="/worklist?show=held")
    assert (response.status_code, response.headers["location"]) == (303, "/worklist?show=held")
    cookie = next(c for c in response.headers.get_list("set-cookie") if c.startswith(COOKIE))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    assert client.get("/worklist").status_code == 200


@pytest.mark.parametrize(
    "there", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_log_in_never_leads_to_another_site(door, there):
    assert door[1](goes_to=there).headers["location"] == "/"


@pytest.mark.parametrize(("username", "password"), [("technician", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_every_wrong_try_gives_the_same_answer(door, username, password):
    response = door[1](username, password)
    assert response.status_code == 401 and "User name or password is wrong." in response.text
    assert BeautifulSoup(response.text, "html.parser").select_one("[name=password]").get("value") is None


def test_too_many_wrong_tries(door, clock):
    for _ in range(5):
        assert door[1](password="wrong").status_code == 401
    response = door[1]()
    assert response.status_code == 429 and "Too many wrong tries" in response.text
    clock.forward(minutes=16)
    assert door[1]().status_code == 303


def test_log_in_needs_the_token(door):
    client, _ = door
    assert client.post("/login", data={"username": "technician", "password": PASSWORD}).status_code == 403


def test_the_token_changes_at_log_in(door, app):
    client, log_in = door
    before = token(BeautifulSoup(client.get("/login").text, "html.parser"))
    log_in()
    assert client.post("/logout", data={"csrf": before}).status_code == 403


def test_log_out(door):
    client, log_in = door
    log_in()
    page = BeautifulSoup(client.get("/").text, "html.parser")
    csrf = page.select_one("form[action='/logout'] [name=csrf]")["value"]
    assert client.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
    assert client.get("/").headers["location"] == "/login"


def test_lock_comes_back_to_the_same_page_and_offers_the_names(door):
    client, log_in = door
    log_in("pathologist")
    log_in("technician")
    page = BeautifulSoup(client.get("/critical").text, "html.parser")
    form = {i["name"]: i["value"] for i in page.select("form[action='/lock'] input")}
    response = client.post("/lock", data=form)
    assert response.headers["location"] == "/login?next=/critical"
    soup = BeautifulSoup(client.get("/login?next=/critical").text, "html.parser")
    assert [a.text for a in soup.select(".people a")] == ["technician", "pathologist"]
    assert soup.select_one("[name=next]")["value"] == "/critical"
    chosen = BeautifulSoup(client.get(soup.select(".people a")[1]["href"]).text, "html.parser")
    assert chosen.select_one("[name=username]")["value"] == "pathologist"
    assert chosen.select_one("[name=password][autofocus]")


def test_a_session_ends_when_nobody_works(client_as, clock):
    browser = client_as("technician")
    for _ in range(3):
        clock.forward(minutes=10)
        browser.get("/worklist")
    clock.forward(minutes=16)
    assert browser.client.get("/worklist").status_code == 303


def test_live_updates_do_not_keep_a_session_alive(client_as, clock):
    browser = client_as("technician")
    for _ in range(2):
        clock.forward(minutes=8)
        browser.client.get("/worklist", headers={"X-Live": "1"})
    assert browser.client.get("/worklist").status_code == 303


def test_a_session_ends_after_twelve_hours_of_work(client_as, clock):
    browser = client_as("technician")
    for _ in range(72):
        clock.forward(minutes=10)
        browser.get("/")
    clock.forward(minutes=1)
    assert browser.client.get("/").status_code == 303


def test_a_forged_cookie_is_nobody(client_as, app):
    browser = client_as("technician")
    cookie = browser.client.cookies[COOKIE]
    browser.client.cookies.clear()
    browser.client.cookies.set(COOKIE, cookie[:-2] + "xx", domain="lab.test", path="/")
    assert browser.client.get("/").status_code == 303


def test_own_password(client_as, world):
    here, elsewhere = client_as("technician"), client_as("technician")
    form = {"old": PASSWORD, "new": "green boat 55 stone", "again": "green boat 55 stone"}
    assert "not the same" in here.post("/password", {**form, "again": "x"}, 422).text
    assert "present password" in here.post("/password", {**form, "old": "wrong"}, 422).text
    assert here.post("/password", form).headers["location"] == "/"
    assert "Password changed" in here.get("/").text
    assert elsewhere.client.get("/").status_code == 303
    assert "change own password" in {a["action"] for a in world.rows(AuditRow)}


def test_a_given_password_is_changed_first(client_as, lab):
    users = table(User)
    with lab.write() as conn:
        conn.execute(users.update().where(users.c.username == "technician").values(must_change=True))
    browser = client_as("technician")
    assert browser.client.get("/worklist").headers["location"] == "/password"
    assert "Somebody else gave you this password" in browser.get("/password").text
    browser.post("/password", {"old": PASSWORD, "new": "green boat 55 stone", "again": "green boat 55 stone"})
    browser.get("/worklist")


def test_language_before_and_after_log_in(client_as, world, door):
    client, _ = door
    soup = BeautifulSoup(client.get("/login").text, "html.parser")
    client.post("/language", data={"csrf": token(soup), "language": "hi", "from": "/login"})
    assert BeautifulSoup(client.get("/login").text, "html.parser").h1.text == "लॉग इन करें"
    browser = client_as("technician")
    assert browser.post("/language", {"language": "hi", "from": "/critical"}).headers["location"] == "/critical"
    assert browser.get("/").html["lang"] == "hi"
    assert world.rows(User, username="technician")[0]["language"] == "hi"
    browser.post("/language", {"language": "fr", "from": "https://evil.example"})
    assert browser.get("/").html["lang"] == "en"
