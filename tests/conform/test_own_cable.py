"""The kit at one end of a serial cable, our own line at the other: both roles, as over TCP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from middleware import transports
from simulators.conform import cli
from tests.system.line_kit import analyzer, running


@pytest.mark.parametrize(("driver", "clauses"), [("generic_astm", ("LL-10", "LL-27")), ("generic_hl7", ("H7-03",))])
async def test_our_own_line_on_a_cable_passes(
    driver: str, clauses: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transports.Backoff
    monkeypatch.setattr(transports, "Backoff", lambda: real(0.01, 0.05))  # the kit makes the cable, we open it again
    rows, said = tmp_path / "rows.json", list[str]()
    wanted = cli.Wanted(driver, f"pty:{tmp_path}/cable", clauses=clauses, json=rows)
    async with running(tmp_path / "journal", analyzer("c", f"serial:{tmp_path}/cable?baud=9600", driver)):
        code = await asyncio.to_thread(cli.run, wanted, said.append, said.append)
    found: list[dict[str, Any]] = json.loads(rows.read_text(encoding="utf-8"))["rows"]
    assert (code, [row for row in found if row["verdict"] != "pass"]) == (0, []), said
    assert {row["role"] for row in found} == ({"receiver"} if driver == "generic_hl7" else {"receiver", "sender"})
