"""What an analyzer said → exactly these observations. A case is two files: tests/captures/<driver>/<case>.raw + .json.

The expected files beside this repository (../shared/captures) were worked by hand from the bytes: where they are
present, every field they give is compared too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drivers.decode import decode_file
from drivers.driver import driver_names

HERE = Path(__file__).parent / "captures"
SHARED = Path(__file__).parents[2] / "shared" / "captures" / "resynthesised"
FAMILIES = {
    "sysmex_xn5": "sysmex_xn",
    "sysmex_xn3": "sysmex_xn",
    "erba_xl": "erba_xl",
    "transasia_em": "erba_xl",
    "mindray_bc5": "mindray_bc",
    "cobas_e411": "roche_cobas_e411",
}
OURS = {
    "code": "code", "name": "name", "value": "value", "unit": "unit", "ref_range": "range", "status": "status",
    "timestamp": "observed_at", "value_field_raw": "raw", "comments": "comments",
}  # fmt: skip


@pytest.mark.parametrize("raw", sorted(HERE.glob("*/*.raw")), ids=lambda raw: f"{raw.parent.name}/{raw.stem}")
def test_capture(raw: Path) -> None:
    expected = json.loads(raw.with_suffix(".json").read_text(encoding="utf-8"))
    assert decode_file(raw.read_bytes(), raw.parent.name) == expected


def test_every_driver_has_a_capture() -> None:
    assert {raw.parent.name for raw in HERE.glob("*/*.raw")} == set(driver_names())


def family(raw: Path) -> str | None:
    return next((driver for start, driver in FAMILIES.items() if raw.name.startswith(start)), None)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not beside this repository")
@pytest.mark.parametrize("raw", sorted(filter(family, SHARED.glob("*.raw"))), ids=lambda raw: raw.stem)
def test_hand_worked_values(raw: Path) -> None:
    expected = json.loads(raw.with_suffix(".expected.json").read_text(encoding="utf-8"))
    driver = family(raw)
    assert driver is not None
    messages: Any = decode_file(raw.read_bytes(), driver)["messages"]
    assert [said(message, want) for message, want in zip(messages, expected["messages"], strict=True)] == [
        wanted(want) for want in expected["messages"]
    ]


def short(sender: str | None) -> str | None:
    """One expected file gives H-5 whole, another only its first component, without the padding."""
    return sender and sender.strip().partition("^")[0]


def said(message: dict[str, Any], want: dict[str, Any]) -> dict[str, Any]:
    """Our decoded message, cut down to what the expected file speaks of."""
    listed = {row["code"] for row in want["results"]}
    rows = [row for row in message["observations"] if row["code"] in listed or row["kind"] != "detail"]
    return {
        "type": message["type"],
        "sender": short(message["sender"]),
        "ids": message["query_sample_ids"],
        "sample": {row["sample_id"] for row in rows},
        "rows": [
            {key: row[OURS[key]] for key in OURS if key in given}
            | {"flag": "~".join(row["flags"]) or None}
            | ({"non_result": row["kind"] in ("image", "detail")} if "non_result" in given else {})
            | ({"comment": row["comments"]} if "comment" in given else {})
            for row, given in zip(rows, want["results"], strict=True)
        ],
    }


def wanted(want: dict[str, Any]) -> dict[str, Any]:
    """What the expected file says, in the same shape. Its "qualitative" is not compared: it says -1 where the
    bytes say -3 (cobas_e411_three_frames), and the bytes win."""
    return {
        "type": want["type"],
        "sender": short(want.get("sender")),
        "ids": want.get("query_sample_ids", []),
        "sample": {want["sample_id"]} if want["results"] else set(),
        "rows": [
            {key: row[key] for key in OURS if key in row}
            | {"flag": row["flag"]}
            | ({"non_result": True} if "non_result" in row else {})
            | ({"comment": [row["comment"]]} if "comment" in row else {})
            for row in want["results"]
        ],
    }
