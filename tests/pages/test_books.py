"""A message whose books differ: the words on the messages page and the analyzers page, and the gauge."""

from __future__ import annotations

from middleware import pipeline
from middleware.journal import Journal
from middleware.store import record
from tests.pages.test_messages import MESSAGE


def spoken(lab, clock, sample_id: str, times: int = 1) -> list[str]:
    """A conversation of as many messages as that, processed."""
    journal = Journal.open(lab.settings.journal, clock)
    session = journal.session("xn550", "LIS2-A2")
    body = MESSAGE.replace(b"%b", sample_id.encode()).replace(b"%%", b"%")
    messages = [journal.message(session, body) for _ in range(times)]
    journal.append(session, b"\x05", "ENQ", messages=messages, ends="eot")
    pipeline.process_all(lab, journal.unprocessed())
    journal.close()
    return [message.id for message in messages]


def gauge(client, name: str) -> float:
    (line,) = (
        one for one in client.get("/metrics").text.splitlines()
        if one.startswith(f'labmitra_unbalanced_messages{{analyzer="{name}"}}')
    )  # fmt: skip
    return float(line.rsplit(" ", 1)[1])


def test_a_difference_is_shown_where_people_look_until_it_is_put_right(client_as, world, lab, clock, monkeypatch):
    sample = world.order()
    with monkeypatch.context() as broken:
        broken.setattr(record, "put_all", lambda *_: None)  # a store that loses every row
        (message,) = spoken(lab, clock, sample.sample_id)
    browser = client_as("engineer")
    listed = browser.get("/messages?show=unbalanced")
    assert [a["href"] for a in listed.select("tbody th a")] == [f"/messages/{message}"]
    assert "differs by 2" in listed.select("tbody td")[-1].text
    assert "2 rows of this message are astray" in browser.get(f"/messages/{message}").select_one(".notice.bad").text
    for url in ("/analyzers", "/analyzers/xn550"):
        assert "Messages whose count does not balance: 1." in browser.get(url).select_one(".notice.bad").text
    assert "differs by 2" in browser.get("/analyzers/xn550").select("tbody td")[-1].text
    assert "हिसाब नहीं मिलता: 1" in client_as("engineer", "hi").get("/analyzers").select_one(".notice.bad").text
    assert (gauge(browser.client, "xn550"), gauge(browser.client, "xl640")) == (1, 0)
    browser = client_as("engineer")
    browser.post_page(f"/messages/{message}/replay")
    assert browser.get("/messages?show=unbalanced").select("tbody th") == []
    assert browser.get("/analyzers").select(".notice.bad") == [] and gauge(browser.client, "xn550") == 0


def test_a_conversation_of_several_messages_shows_its_own_books(client_as, world, lab, clock):
    first, second = spoken(lab, clock, world.order().sample_id, times=2)
    soup = client_as("engineer").get(f"/messages/{second}")
    assert "Whole conversation: 2 messages, 4 measured: 1 results, 0 controls, 1 without a patient, 2 here" in soup.text
    assert "Whole conversation" not in client_as("engineer").get(f"/messages/{spoken(lab, clock, 'x')[0]}").text
    assert first != second
