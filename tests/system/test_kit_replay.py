"""`labmitra replay --diff`: what a changed driver or mapping would change. It writes nothing at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

import labmitra
from middleware import pipeline
from middleware.actions import unmatched
from middleware.actions.results import release
from middleware.journal import Journal
from middleware.kit import Misuse
from middleware.kit.told import what_if
from middleware.kit.what_if import WhatIf
from middleware.kit.what_if_run import Asked, run
from middleware.lab import Lab, make_engine, reading_engine
from middleware.schema import ResultRow, Sample, UnmatchedRow
from middleware.settings import Settings
from middleware.store import change
from tests.conftest import ON_SQLITE
from tests.labs import CONFIG, NOW, Clock, Desk, lately, settings_for


@pytest.fixture
def journal(lab: Lab, clock: Clock):
    made = Journal.open(lab.settings.journal, clock)
    yield made
    made.close()


class Line:
    """The bench analyzer's line: what it says is in the journal and processed."""

    def __init__(self, desk: Desk, journal: Journal) -> None:
        self.desk, self.journal = desk, journal

    def say(self, sample_id: str, *values: str, body: bytes = b"") -> str:
        """A message's id."""
        said = body or self.desk.message(sample_id, *values).body
        message = self.journal.finish("bench", None, said, incomplete=False, at=self.desk.clock())
        pipeline.process(self.desk.lab, message)
        self.journal.mark_done(message.id)
        self.desk.clock.forward(seconds=1)
        return message.id


@pytest.fixture
def line(desk: Desk, journal: Journal) -> Line:
    return Line(desk, journal)


def tried(desk: Desk, asked: Asked | None = None, **changes: object) -> WhatIf:
    """What would change with the bench analyzer set so; the laboratory is as it was afterwards."""
    settings = _with(desk.lab.settings, **changes)
    before = desk.dump()
    found = run(settings, asked or Asked(None, analyzer="bench"), desk.clock)
    assert desk.dump() == before
    return found


def _with(settings: Settings, **changes: object) -> Settings:
    analyzers = tuple(replace(a, **changes) if a.name == "bench" else a for a in settings.analyzers)
    return replace(settings, analyzers=analyzers)


def told(found: WhatIf) -> list[tuple[tuple[str, ...], str, str | None, str | None]]:
    return [
        (c.kinds, c.test, c.before and f"{c.before.place} {c.before.value} {c.before.unit}".strip(),
         c.after and f"{c.after.place} {c.after.value} {c.after.unit}".strip())
        for c in found.changes
    ]  # fmt: skip


def test_nothing_changes_where_nothing_was_changed(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB", "WBC"))
    line.say(tube, "HB=13.1 g/dL", "WBC=6.2 10*3/uL", "NOBODY=1 x")
    line.say("nobody's tube", "HB=9.0 g/dL")
    found = tried(desk)
    assert (found.messages, found.changed, found.rows, found.changes) == (2, 0, 4, [])


def test_a_changed_unit_and_a_new_code_are_shown_by_test(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB", "WBC", "PLT"))
    line.say(tube, "HB=131 g/L", "LEUKO=6.2 10*3/uL", "PLT=200 10*3/uL")
    found = tried(desk, codes={"LEUKO": "WBC", "PLT": "MPV"})
    assert told(found) == [
        (("place",), "WBC", "tray 6.2 10*3/uL", "result 6.20 10*3/uL"),
        (("place",), "PLT", "result 200 10*3/uL", "tray 200 10*3/uL"),
    ]
    assert {test: dict(counts) for test, counts in found.by_test().items()} == {
        "PLT": {"place": 1, "rows": 1, "released": 0}, "WBC": {"place": 1, "rows": 1, "released": 0},
    }  # fmt: skip


@ON_SQLITE
def test_a_unit_that_a_site_sets_changes_a_value(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB"))
    line.say(tube, "HB=13.1")
    found = tried(desk, units={"HB": "g/dL"})
    assert told(found) == [(("value",), "HB", "result none (13.1) g/dL", "result 13.1 g/dL")]


@ON_SQLITE
def test_a_released_value_that_would_change_is_named(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB"))
    line.say(tube, "HB=13.1 g/dL")
    (result,) = desk.rows(ResultRow)
    release(desk.lab, desk.technician, [result["id"]])
    found = tried(desk, tests=frozenset({"WBC"}))
    assert [(c.kinds, c.out) for c in found.changes] == [(("vanishes",), True)]
    (sentence,) = [line for line in what_if(found, None) if "→" in line]
    assert sentence == f"  …{tube[-4:]} HB: 13.1 g/dL → nothing   RELEASED"
    assert tube not in "\n".join(what_if(found, None))


@ON_SQLITE
def test_another_driver_can_be_tried_on_an_analyzer(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB"))
    line.say(tube, "HB=13.1 g/dL")
    found = tried(desk, Asked(None, driver="generic_hl7", analyzer="bench"))
    assert [c.kinds for c in found.changes] == [("cannot be read any more",)]
    found = tried(desk, Asked(None, driver="sysmex_xn", analyzer="bench"))
    assert [(one.kinds, one.test) for one in found.changes] == [(("place",), "HB")], "it looks for the tube in O-4"


@ON_SQLITE
def test_a_message_that_failed_can_be_read_now(desk: Desk, line: Line) -> None:
    message = line.say("", body=b"MSH|^~\\&|X||||20261122||ORU^R01|1|P|2.3.1\rOBR|1||5\rOBX|1|NM|HB||13|g/dL\r")
    found = tried(desk, driver="generic_hl7")
    assert [(c.kinds, c.message_id) for c in found.changes if c.before is None and c.after is None] == [
        (("can be read now",), message)
    ]


@ON_SQLITE
def test_what_only_found_its_tube_since_is_counted_apart(desk: Desk, line: Line) -> None:
    made = desk.register("HB")
    pk, tube = made.sample_pks[0], desk.sample_id(made)
    with desk.lab.write() as conn:
        change(conn, Sample, pk, sample_id="123456789012")
    line.say(tube, "HB=13.1 g/dL")
    assert len(desk.tray()) == 1
    with desk.lab.write() as conn:
        change(conn, Sample, pk, sample_id=tube)
    found = tried(desk)
    assert (found.registered, found.changes) == (1, [])


@ON_SQLITE
def test_a_row_linked_by_hand_is_no_news(desk: Desk, line: Line) -> None:
    made = desk.register("HB")
    line.say("", "HB=13.1 g/dL")
    (row,) = desk.rows(UnmatchedRow)
    unmatched.link(desk.lab, desk.technician, row["id"], made.sample_pks[0], "HB", "the only tube in the analyzer")
    assert tried(desk).changes == []


def test_what_was_sent_again_does_not_appear_a_second_time(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB", "WBC"))
    line.say(tube, "HB=13.1 g/dL", "LEUKO=6.2 10*3/uL")
    again = desk.message(tube, "HB=13.1 g/dL", "LEUKO=6.2 10*3/uL").body
    line.say(tube, body=again)
    assert tried(desk).changes == []
    assert [one.test for one in tried(desk, codes={"LEUKO": "WBC"}).changes] == ["WBC"]


@ON_SQLITE
def test_only_what_was_asked_for_is_tried(desk: Desk, line: Line) -> None:
    tube = desk.sample_id(desk.register("HB"))
    line.say(tube, "HB=13.1 g/dL")
    assert tried(desk, Asked(desk.clock())).messages == 0
    assert tried(desk, Asked(NOW)).messages == 1
    assert tried(desk, Asked(None, driver="sysmex_xn")).messages == 0
    for asked, why in (
        (Asked(None, driver="sysmex_xm"), "did you mean \"sysmex_x"),
        (Asked(None, analyzer="bnech"), 'did you mean "bench"'),
        (Asked(None, driver="urit_50"), "name one with --analyzer"),
    ):
        with pytest.raises(Misuse, match=why):
            tried(desk, asked)


def test_the_database_refuses_to_be_written(lab: Lab) -> None:
    engine = reading_engine(lab.settings.database_url)
    with engine.connect() as conn, pytest.raises(DBAPIError):
        conn.execute(text("DELETE FROM audit"))
    engine.dispose()


# ---- the command ------------------------------------------------------------------------------------------------


def ran(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(labmitra.app, ["replay", *words])
    return done.exit_code, done.output


@pytest.fixture
def site(tmp_path: Path, lab_sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of its own beside a laboratory's data, with the bench analyzer."""
    (tmp_path / "var").mkdir()
    shutil.copy(lab_sqlite, tmp_path / "var" / "lab.sqlite3")
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    with (tmp_path / "config" / "analyzers.toml").open("a", encoding="utf-8") as file:
        file.write('\n# bench\n[[analyzer]]\nname = "bench"\ndriver = "generic_astm"\ntitle = "Bench"\n')
        file.write('line = "tcp-listen://127.0.0.1:9199"\nenabled = false\nauto_release = false\ntests = []\n')
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path / "var"))
    return tmp_path


def test_an_empty_journal_has_nothing_to_change(site: Path) -> None:
    code, text = ran("--diff", "--config", str(site / "config"))
    assert (code, "No stored message" in text) == (0, True)
    assert not (site / "var" / "secret").exists(), "not even a secret is written"


def test_the_command_tells_by_its_exit_code(site: Path) -> None:
    clock = lately()
    settings = settings_for(site / "var", "")
    lab = Lab(engine=make_engine(settings.database_url), settings=settings, now=clock)
    desk = Desk(lab, clock)
    journal = Journal.open(settings.journal, clock)
    tube = desk.sample_id(desk.register("HB", "WBC"))
    Line(desk, journal).say(tube, "HB=13.1 g/dL", "LEUKO=6.2 10*3/uL")
    journal.close()
    lab.engine.dispose()
    words = ("--since", "", "--diff", "--driver", "generic_astm", "--config", str(site / "config"))
    code, text = ran(*words)
    assert code == 0 and "1 messages, 2 measured rows: 0 messages would change" in text
    file = site / "config" / "analyzers.toml"
    file.write_text(file.read_text(encoding="utf-8") + '[analyzer.codes]\nLEUKO = "WBC"\n', encoding="utf-8")
    code, text = ran(*words)
    assert code == 1 and f"…{tube[-4:]} WBC: 6.2 10*3/uL (tray: unknown_code) → 6.20 10*3/uL" in text
    assert "Nothing was written." in text and tube not in text
    code, text = ran(*words, "--json")
    first = json.loads(text)["changes"][0]
    assert (code, first["sample"], first["before"]["place"], first["after"]["place"]) == (
        1, f"…{tube[-4:]}", "tray", "result",
    )  # fmt: skip


def test_a_laboratory_that_is_not_there_is_no_finding(site: Path) -> None:
    journal = Journal.open(site / "var" / "journal.sqlite3")
    journal.finish("bench", None, b"H|\\^&\rL|1\r", incomplete=False)
    journal.close()
    (site / "var" / "lab.sqlite3").unlink()
    code, text = ran("--diff", "--since", "", "--config", str(site / "config"))
    assert code == 2 and "labmitra db upgrade" in text
    assert not (site / "var" / "lab.sqlite3").exists(), "nothing is made by looking"


def test_what_makes_no_sense_is_one_sentence(site: Path) -> None:
    config = ("--config", str(site / "config"))
    assert ran(*config)[0] == 2
    code, text = ran("--diff", "--since", "soon", *config)
    assert code == 2 and '"soon" is no time' in text
    code, text = ran("--diff", "--driver", "nobody", *config)
    assert code == 2 and 'There is no driver "nobody"' in text
