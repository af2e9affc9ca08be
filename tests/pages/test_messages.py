"""The flight recorder: both directions, control characters by name, rows decoded anew, replay, the bytes."""

from __future__ import annotations

import pytest

from middleware import pipeline
from middleware.journal import Journal
from middleware.journal_file import micros
from middleware.schema import AnalyzerMessage, AuditRow, ResultRow
from middleware.spelled import Piece, visible
from server.lab import wire_notes

MESSAGE = (
    b"H|\\^&|||XN-550^00-11^11001^^^^12345678||||||||E1394-97\r"
    b"P|1\rO|1||^^    %b^B|^^^^WBC\\^^^^HGB|||||||N||||||||||||||F\r"
    b"R|1|^^^^HGB^1|12.9|g/dL||N||||||20261122100000\r"
    b"R|2|^^^^NEW-CODE^1|1.5|%%||N||||||20261122100000\rL|1|N\r"
)


@pytest.fixture
def said(lab, clock):
    """`said(sample_id)` journals one message as the line does, ENQ to EOT; its id."""
    journal = Journal.open(lab.settings.journal, clock)

    def say(sample_id: str = "107632600016", body: bytes = b"", analyzer: str = "xn550") -> str:
        body = body or MESSAGE.replace(b"%b", sample_id.encode()).replace(b"%%", b"%")
        session = journal.session(analyzer, "LIS2-A2", "10.0.0.7")
        message = journal.message(session, body)
        journal.append(session, b"\x05", "ENQ")
        journal.append(session, b"\x021" + body + b"\x033F\r\n", "frame 1", frame=True, messages=(message,))
        journal.append(session, b"\x04", "EOT", ends="eot")
        return message.id

    yield say
    journal.close()


@pytest.mark.parametrize(("role", "status"), [("engineer", 200), ("technician", 403), ("pathologist", 403),
                                              ("admin", 403), ("reception", 403)])  # fmt: skip
def test_who_opens_messages(client_as, said, role, status):
    message = said()
    browser = client_as(role)
    for url in ("/messages", f"/messages/{message}", f"/messages/{message}/raw"):
        assert browser.client.get(url).status_code == status, url
    browser.post(f"/messages/{message}/replay", status=303 if status == 200 else 403)


def test_no_journal_yet(client_as):
    assert client_as("engineer").get("/messages").select_one(".empty").text == "No message fits."


def test_the_list_says_what_waits_and_what_became_of_it(client_as, world, lab, said, clock):
    sample = world.order()
    done = said(sample.sample_id)
    pipeline.process(lab, pipeline.stored(lab, done))
    broken = said(body=b"garbage that is no message")
    pipeline.process(lab, pipeline.stored(lab, broken))
    waiting = said()
    browser = client_as("engineer")

    def ids(url: str) -> list[str]:
        return [a["href"].rsplit("/", 1)[1] for a in browser.get(url).select("tbody th a")]

    assert ids("/messages") == [waiting, broken, done]
    states = [" ".join(tr.select("td")[-1].text.split())[:14] for tr in browser.get("/messages").select("tbody tr")]
    assert states[0] == "·waits" and states[1].startswith("‼not readable") and states[2] == "✓done"
    assert ids("/messages?show=failed") == [broken]
    assert ids("/messages?show=unmatched") == [done]
    assert ids(f"/messages?sample={sample.sample_id}") == ids(
        f"/messages?sample={sample.sample_id[:3]}-{sample.sample_id[3:]}"
    )
    assert ids("/messages?analyzer=xl640") == []
    assert ids("/messages?day=2026-11-22") == [waiting, broken, done]
    assert ids("/messages?day=2026-11-21") == []
    assert ids("/messages?day=nonsense&show=nonsense") == [waiting, broken, done]


def test_one_message_with_its_conversation_rows_and_books(client_as, world, lab, said):
    sample = world.order()
    message = said(sample.sample_id)
    pipeline.process(lab, pipeline.stored(lab, message))
    soup = client_as("engineer").get(f"/messages/{message}")
    controls = [s.text for s in soup.select(".wire .ctl")]
    assert controls[0] == "<ENQ>" and controls[1] == "<STX>" and {"<CR>", "<ETX>", "<LF>"} <= set(controls)
    rows = soup.select("table.wire")[1].select("tbody tr")
    assert [[td.text.strip() for td in r.select("td")][3:6] for r in rows] == [
        ["HGB", "12.9", "g/dL"], ["NEW-CODE", "1.5", "%"]]  # fmt: skip
    books = {d.dt.text: d.dd.text for d in soup.select(".facts div")}
    assert (books["Measurements"], books["Results"], books["Without a patient"]) == ("2", "1", "1")
    assert "Every measurement is accounted for" in soup.text


@pytest.fixture
def quarrel(lab, clock):
    """A conversation with a damaged frame that we refused; the message's id."""
    journal = Journal.open(lab.settings.journal, clock)
    session = journal.session("xn550", "LIS2-A2", "10.0.0.7")
    message = journal.message(session, MESSAGE.replace(b"%b", b"107632600016"))
    journal.append(session, b"\x05", "ENQ")
    getattr(clock, "forward", lambda **_: None)(milliseconds=250)
    journal.later(session, b"\x021H|dam\x03F0\r\n", "refused: wrong checksum", said=b"\x06", said_at=micros(clock()))
    journal.later(session, b"\x024H|\x03F0\r\n", "refused: frame number 4, expected 1", said=b"\x15")
    journal.later(session, b"\xfe\xfd", "ignored", said=b"\x15")
    journal.append(session, b"\x021H|ok\r\x033F\r\n", "frame 1", frame=True, messages=(message,))
    journal.later(session, b"\x04", "EOT", said=b"\x06", ends="eot")
    journal.close()
    return message.id


def test_the_dialogue_with_times_refused_frames_and_our_replies(client_as, quarrel):
    rows = client_as("engineer").get(f"/messages/{quarrel}").select(".dialogue tbody tr")
    told = [[" ".join(td.text.split()) for td in row.select("td")] for row in rows]
    assert told == [
        ["10:00:00.000", "→ analyzer", "<ENQ>"],
        ["10:00:00.250", "← we", "<ACK>"],
        ["10:00:00.250", "→ analyzer", "<STX>1H|dam<ETX>F0<CR><LF> "
         "‼we refused it: wrong checksum (bytes were damaged on the cable)"],
        ["10:00:00.250", "← we", "<NAK>"],
        ["10:00:00.250", "→ analyzer", "<STX>4H|<ETX>F0<CR><LF> ‼we refused it: frame number 4, expected 1"],
        ["10:00:00.250", "← we", "<NAK>"],
        ["10:00:00.250", "→ analyzer", "þý !means nothing here: kept but not used"],
        ["10:00:00.250", "→ analyzer", "<STX>1H|ok<CR><ETX>3F<CR><LF> frame 1 stored"],
        ["10:00:00.250", "← we", "<ACK>"],
        ["10:00:00.250", "→ analyzer", "<EOT>"],
    ]  # fmt: skip
    hindi = client_as("engineer", "hi").get(f"/messages/{quarrel}")
    assert "हमने नहीं लिया: चेकसम गलत (केबल पर बाइट बिगड़े)" in hindi.select_one(".dialogue").text


def test_every_note_of_the_journal_has_words_in_both_languages(app):
    strings = app.state.strings
    for _tone, key, _pattern in wire_notes.KNOWN:
        for language in ("en", "hi"):
            assert strings.t(f"messages.note.{key}", language, n="1", why="x")
    assert wire_notes.note("something new") == wire_notes.Note(text="something new")
    assert wire_notes.note("frame 2") == wire_notes.Note("", "messages.note.frame", {"n": "2"})


def test_replay_files_what_was_registered_late(client_as, world, lab, said):
    message = said("107632600016")
    pipeline.process(lab, pipeline.stored(lab, message))
    assert world.rows(ResultRow) == []
    sample = world.order()
    assert sample.sample_id == "107632600016"
    soup = client_as("engineer").post_page(f"/messages/{message}/replay")
    assert "Processed again." in soup.select_one(".notice").text
    assert [(r["test"], r["display"]) for r in world.rows(ResultRow)] == [("HB", "12.9")]
    assert [m["state"] for m in world.rows(AnalyzerMessage)] == ["processed"]


def test_replay_of_what_cannot_be_read_says_so(client_as, said):
    message = said(body=b"garbage that is no message")
    soup = client_as("engineer", "hi").post_page(f"/messages/{message}/replay")
    assert "अब भी पढ़ा नहीं जा सका" in soup.select_one(".notice.bad").text


def test_the_bytes_as_sent_with_an_audit_line(client_as, world, said):
    message = said(body=b"\x02\x00\xff raw \r")
    answer = client_as("engineer").client.get(f"/messages/{message}/raw")
    assert answer.content == b"\x02\x00\xff raw \r"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert [(a["action"], a["subject_id"]) for a in world.rows(AuditRow)] == [("download message", message)]


def test_unknown_messages(client_as):
    browser = client_as("engineer")
    browser.get("/messages/none", 404)
    browser.get("/messages/none/raw", 404)
    browser.post("/messages/none/replay", status=409)


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (b"", ()),
        (b"\x05", (Piece("<ENQ>", True),)),
        (b"A\rB", (Piece("A"), Piece("<CR>", True, True), Piece("B"))),
        (b"\r\n", (Piece("<CR>", True), Piece("<LF>", True, True))),
        (b"\x7f\x1c", (Piece("<DEL>", True), Piece("<FS>", True))),
        ("सुनीता".encode(), (Piece("सुनीता"),)),
        (b"\xb5g <b>", (Piece("\u00b5g <b>"),)),
        (b"\x9b1m", (Piece("<9B>", True), Piece("1m"))),
    ],
)
def test_visible(data, pieces):
    assert visible(data) == pieces
