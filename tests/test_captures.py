"""What an analyzer said → exactly these observations. A case is two files: tests/captures/<driver>/<case>.raw + .json.

The expected files beside this repository (../shared/captures) were worked by hand from the bytes: where they are
present, every field they give is compared too. FAMILIES says by a file name's start which driver reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.decode import decode_file
from drivers.driver import driver_names

HERE = Path(__file__).parent / "captures"
SHARED = Path(__file__).parents[2] / "shared" / "captures"
FAMILIES = {
    "abbott_afinion": "abbott_afinion",
    "abbott_architect": "abbott_architect",
    "abl80": "radiometer_abl80",
    "abx_micros": "horiba_micros",
    "abx_pentra": "horiba_pentra",
    "agappe_cx4": "agappe_cx4",
    "agappe_mispa_nano": "agappe_mispa_nano",
    "arkray": "arkray_adams",
    "ba400": "biosystems_ba400",
    "beckman_access": "beckman_access",
    "beckman_au": "beckman_au",
    "beckman_dxh": "beckman_dxh",
    "beckman_dxi": "beckman_access",
    "biorad_d10": "biorad_d10",
    "clinitek": "siemens_clinitek",
    "cobas_c111": "roche_cobas_c111",
    "cobas_c311": "roche_cobas_c311",
    "cobas_e411": "roche_cobas_e411",
    "dca_vantage": "siemens_dca",
    "dymind": "dymind_dh",
    "erba_xl": "erba_xl",
    "finecare": "wondfo_finecare",
    "fujifilm_drichem": "fujifilm_drichem",
    "genexpert": "cepheid_genexpert",
    "immulite": "siemens_immulite",
    "maglumi": "snibe_maglumi",
    "meril_autoquant": "meril_autoquant",
    "mindray_bc": "mindray_bc",
    "mindray_bs": "mindray_bs",
    "mindray_chem": "mindray_chem_hl7",
    "mini_vidas": "biomerieux_mini_vidas",
    "nihonkohden": "nihonkohden_celltac",
    "pentra": "horiba_pentra",
    "premier_hb9210": "trinity_hb9210",
    "rapidlab": "siemens_rapidlab",
    "rapidpoint": "siemens_rapidpoint",
    "selectra": "elitech_selectra",
    "sensacore": "sensacore_st200",
    "siemens_dimension": "siemens_dimension",
    "siemens_hematology580": "siemens_hematology580",
    "smartlyte": "diamond_smartlyte",
    "snibe_maglumi": "snibe_maglumi_hl7",
    "spotchem": "arkray_spotchem_el",
    "stago": "stago_sta",
    "sysmex_ca": "sysmex_ca",
    "sysmex_uc1000": "sysmex_uc1000",
    "sysmex_uwam": "sysmex_uwam",
    "sysmex_xn": "sysmex_xn",
    "sysmex_xp": "sysmex_xp",
    "sysmex_xs": "sysmex_xs",
    "thermo_indiko": "thermo_indiko",
    "tisenc": "tisenc_accre",
    "tosoh_hlc723": "tosoh_hlc723",
    "transasia_em": "erba_xl",
    "urit": "urit_50",
    "vitros": "ortho_vitros",
    "yumizen": "horiba_yumizen",
}

# The expected files' words for what only a host says, and for "come and fetch": ours for the same.
TYPES = {"order": "other", "query_ack": "other", "order_ack": "ack", "result_available": "poll"}

# Where an expected file contradicts the bytes the bytes win: file name's start → the key of its rows not compared, why.
BYTES_WIN = {
    "mini_vidas": ("timestamp", "null; td and tt hold it, the file's own time_raw says so"),
    "beckman_au_result_with_timestamp": ("name", "a site's own word for a number; the bytes have none"),
    "abl80": ("timestamp", "null but in the first row, whose R-13 is the time of all"),
    "fujifilm_drichem": ("timestamp", "null; fields 3 and 4 hold it, the file's own date_raw says so"),
    "rapidlab348": ("timestamp", "null; the report's line above the values holds it"),
    "sensacore": ("timestamp", "null; the report's line above the values holds it"),
    "smartlyte": ("timestamp", "null; dt holds it, the file's own time_raw says so"),
    "spotchem": ("timestamp", "null; columns 0 to 13 hold it, the file's own time_raw says so"),
    "sysmex_ca660_error_stars": ("timestamp", "null; columns 9 to 18 of D1 hold 120723 1545"),
    "sysmex_uc1000_text": ("unit", "mg/dL by convention there; the text has no unit"),
}

# A row's key in an expected file → the same in ours. A key given there is compared; a name only when there is one.
OURS: dict[str, Callable[[dict[str, Any]], object]] = {
    "code": lambda row: row["code"],
    "name": lambda row: row["name"],
    "value": lambda row: row["value"],
    "value_raw": lambda row: row["raw"],
    "value_field_raw": lambda row: row["raw"],
    "raw": lambda row: row["raw"],
    "unit": lambda row: row["unit"],
    "flag": lambda row: "~".join(row["flags"]) or None,
    "ref_range": lambda row: row["range"],
    "status": lambda row: row["status"],
    "timestamp": lambda row: row["observed_at"],
    "comments": lambda row: row["comments"],
    "comment": lambda row: row["comments"][0],
    "result_aspect": lambda row: row["aspect"],
    "masked": lambda row: row["masked"],
    "non_result": lambda row: row["kind"] in ("image", "detail"),
}


@pytest.mark.parametrize("raw", sorted(HERE.glob("*/*.raw")), ids=lambda raw: f"{raw.parent.name}/{raw.stem}")
def test_capture(raw: Path) -> None:
    expected = json.loads(raw.with_suffix(".json").read_text(encoding="utf-8"))
    assert decode_file(raw.read_bytes(), raw.parent.name) == expected


def test_every_driver_has_a_capture() -> None:
    assert {raw.parent.name for raw in HERE.glob("*/*.raw")} == set(driver_names())


def family(raw: Path) -> str:
    starts = [start for start in FAMILIES if raw.name.startswith(start)]
    return FAMILIES[max(starts, key=len)] if starts else ""


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not beside this repository")
def test_every_shared_capture_is_of_a_family() -> None:
    assert [raw.name for raw in SHARED.glob("*/*.raw") if not family(raw)] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not beside this repository")
@pytest.mark.parametrize("raw", sorted(SHARED.glob("re*/*.raw")), ids=lambda raw: raw.stem)
def test_hand_worked_values(raw: Path) -> None:
    driver = family(raw)
    if driver not in driver_names():
        pytest.skip(f"there is no driver {driver} yet")
    expected = json.loads(raw.with_suffix(".expected.json").read_text(encoding="utf-8"))
    messages: Any = decode_file(raw.read_bytes(), driver)["messages"]
    skip = next((key for start, (key, _why) in BYTES_WIN.items() if raw.name.startswith(start)), None)
    for want in expected["messages"]:
        want["results"] = [{key: row[key] for key in row if key != skip} for row in want.get("results", [])]
    assert [said(message, want) for message, want in zip(messages, expected["messages"], strict=True)] == [
        wanted(want) for want in expected["messages"]
    ]


def short(sender: str | None) -> str | None:
    """One expected file gives H-5 whole, another only its first component, without the padding."""
    return sender and sender.strip().partition("^")[0]


def too_long(row: dict[str, Any]) -> bool:
    """A value in brackets describes data too long to repeat."""
    return re.fullmatch(r"\(.*\)", str(row["value"])) is not None


def given(row: dict[str, Any]) -> list[str]:
    """What an expected row says: no name and a value too long to repeat say nothing."""
    told = [key for key in row if key in OURS and (key != "name" or row["name"])]
    return [key for key in told if not (too_long(row) and key in ("value", "value_raw", "value_field_raw", "raw"))]


def counted(rows: list[dict[str, Any]], want: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our rows that an expected file speaks of: every one but those that are nothing a patient is told (details,
    images), which count where the file has that very row next."""
    found: list[dict[str, Any]] = []
    for row in rows:
        there = want[len(found)] if len(found) < len(want) else None
        next_ = there and row["code"] == (there["code"] or None) and (too_long(there) or row["value"] == there["value"])
        if next_ or row["kind"] not in ("detail", "image"):
            found.append(row)
    return found


def said(message: dict[str, Any], want: dict[str, Any]) -> dict[str, Any]:
    """Our decoded message, cut down to what the expected file speaks of."""
    rows = counted(message["observations"], want["results"])
    return {
        "type": message["type"],
        "sender": short(message["sender"]) if "sender" in want else None,
        "ids": message["query_sample_ids"],
        "rows": [
            {"sample": row["sample_id"]} | {key: OURS[key](row) for key in given(there)}
            for row, there in zip(rows, want["results"], strict=True)
        ],
    }


def wanted(want: dict[str, Any]) -> dict[str, Any]:
    """What the expected file says, in the same shape. Its "qualitative" is not compared: it says -1 where the
    bytes say -3 (cobas_e411_three_frames), and the bytes win."""
    return {
        "type": TYPES.get(want["type"], want["type"]),
        "sender": short(want.get("sender")),
        "ids": want.get("query_sample_ids", []),
        "rows": [
            {"sample": row.get("sample_id", want.get("sample_id"))}
            | {key: bool(row[key]) if key == "non_result" else row[key] for key in given(row)}
            | {"code": row["code"] or None}
            for row in want["results"]
        ],
    }
