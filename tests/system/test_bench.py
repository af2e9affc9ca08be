"""The bench's tools work: its configuration is right, its generators get every message acknowledged, its limit too.

No figure is looked at here: figures are for `make bench`.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bench import answers
from bench.receive import Load, rate
from bench.servers import limit, ours
from middleware.check import check
from middleware.journal import JournalReader

CONFIG = Path(__file__).parent.parent.parent / "bench/config"


def test_the_configuration_of_the_bench_is_right() -> None:
    assert check(CONFIG, {}) == []


def test_the_generators_get_every_message_acknowledged_and_the_journal_holds_them(tmp_path: Path) -> None:
    with ExitStack() as up:
        us = up.enter_context(ours("hl7", tmp_path, pipeline=False))
        bound = up.enter_context(limit("hl7", tmp_path, "group"))
        for server in (us, bound):
            assert rate(Load("hl7", messages=40, connections=8).run(server)) > 0
    journal = JournalReader(next(tmp_path.glob("ours-*/journal.sqlite3")))
    assert len(journal.messages(limit=100)) == 48  # 40 measured, 8 to warm up


def test_every_tube_of_the_bench_is_answered_and_its_order_found() -> None:
    shown = answers.rows(stored=250, tubes=5)
    assert [row.what.partition(":")[0] for row in shown] == ["answer to a query", *["orders to be sent unasked"] * 2]
    assert "25 tubes found" in shown[1].note
