"""`labmitra capture`: byte for byte, and nobody's name or number in it. The driver reads the same rows but the ids."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labmitra
from drivers.decode import decode_file, decode_with
from drivers.driver import load_driver
from drivers.wire import lis1a, mllp
from middleware.journal import Journal
from middleware.kit.capture import Captured, Said, capture
from middleware.kit.pseudonym import Pseudonyms, tokens
from middleware.kit.scrub_text import scrub_text
from middleware.kit.stream import FRAME
from tests.labs import Clock

CAPTURES = Path(__file__).parents[1] / "captures"
SALT = b"salt of this test"

# One patient, whose name and numbers stand where people's stand and where they should not.
RECORDS = (
    "H|\\^&||pass77word|XN-550^1|||||||P|1\r"
    "P|1||UHID90876||DEVI^SUNITA^K||19810402|F||Lahurabir, Varanasi|9812345670|||MISHRA^ANIL\r"
    "O|1||8^1^          998877665544^B|^^^^WBC\\^^^^HGB|R||20261122101400|||BINDU|||Fever, DEVI\r"
    "R|1|^^^^WBC^1|6.37|10*3/uL||N||F||TARA||20261122101500\r"
    "C|1||DEVI called, सुनीता देवी\r"
    "R|2|^^^^SCAT_WDF|PNG&R&20261122&R&2026_11_22_10_15_998877665544_WDF.PNG|||N||F||||20261122101500\r"
    "L|1|N\r"
)
SECRET = (
    "pass77word", "UHID90876", "DEVI", "SUNITA", "19810402", "Lahurabir", "Varanasi", "9812345670", "MISHRA", "ANIL",
    "998877665544", "BINDU", "Fever", "TARA", "called", "सुनीता", "देवी",
)  # fmt: skip


def spoken() -> list[Said]:
    """The message in three frames cut inside the name and the Hindi letters, one sent twice, one damaged before."""
    body = RECORDS.encode()
    cuts = (0, body.index(b"SUNITA") + 3, body.index("सुनीता".encode()) + 1, len(body))
    texts = [body[a:b] for a, b in pairwise(cuts)]
    frames = [lis1a.frame(number, text, last=number == 3) for number, text in enumerate(texts, 1)]
    damaged = frames[1].replace(b"998877665544", b"998877665545")
    sent = [b"\x05", frames[0], frames[0], damaged, frames[1], frames[2], b"\x04"]
    said, ms = [], 0
    for data, answer in zip(sent, (b"\x06", b"\x06", b"\x06", b"\x15", b"\x06", b"\x06", b""), strict=True):
        said.append(Said(ms, True, data))
        said += [Said(ms + 3, False, answer)] if answer else []
        ms += 20
    order = lis1a.frame(1, b"H|\\^&\rP|1|||UHID90876|^DEVI^SUNITA\rO|1|998877665544\rL|1\r", last=True)
    return [*said, Said(ms, False, b"\x05"), Said(ms + 1, False, order)]


def captured(said: list[Said] | None = None, driver: str = "sysmex_xn", salt: bytes = SALT) -> Captured:
    return capture(load_driver(driver), said or spoken(), salt)


def standing(made: Captured) -> str:
    """All that both sides say in the capture, frames joined."""
    sides = [b"".join(one.data for one in made.said if one.by_analyzer is side) for side in (True, False)]
    joined = b"".join(re.sub(rb"[\x03\x17]..\r\n\x02.", b"", side) for side in sides)
    return joined.decode("utf-8", "replace")


def test_no_name_and_no_number_of_a_patient_is_left_on_either_side() -> None:
    made = captured()
    text = standing(made).lower()
    whole = json.dumps(made.talk()) + json.dumps(made.read, ensure_ascii=False)
    assert [secret for secret in SECRET if secret.lower() in text or secret in whole] == []
    assert [secret for secret in SECRET if secret.encode().hex() in whole] == []
    assert made.replaced > len(SECRET)


def test_the_driver_reads_the_same_but_the_ids_and_remarks() -> None:
    said = spoken()
    before = decode_with(load_driver("sysmex_xn"), b"".join(one.data for one in said if one.by_analyzer))
    made = captured(said)
    (old,), (new,) = before["messages"], made.read["messages"]
    first, picture = new["observations"]
    assert first["sample_id"] == picture["sample_id"] != "998877665544" and len(first["sample_id"]) == 12
    assert {**first, "sample_id": "", "comments": []} == {**old["observations"][0], "sample_id": "", "comments": []}
    assert first["sample_id"] in picture["value"] and picture["value"].startswith("PNG&R&20261122&R&2026_11_22_10_15_")
    assert made.read["problems"] == before["problems"]
    assert made.doubts == ()


def test_chunks_keep_their_lengths_times_and_sides() -> None:
    said = spoken()
    made = captured(said)
    assert [(one.ms, one.by_analyzer, len(one.data)) for one in made.said] == [
        (one.ms, one.by_analyzer, len(one.data)) for one in said
    ]
    told = made.talk()["chunks"]
    assert b"".join(bytes.fromhex(one["hex"]) for one in told if one["from"] == "analyzer") == made.raw


def test_checksums_are_right_where_they_were_right_and_wrong_where_they_were_wrong() -> None:
    frames = list(FRAME.finditer(captured().raw))
    right = [int(f[4], 16) == sum(f[1] + f[2] + f[3]) & 0xFF for f in frames]
    assert right == [True, True, False, True, True]
    assert frames[0][0] == frames[1][0], "what was sent twice is still the same twice"


def test_another_capture_gives_other_names_and_one_capture_always_the_same() -> None:
    one, other = captured(salt=b"one"), captured(salt=b"other")
    ids = [made.read["messages"][0]["observations"][0]["sample_id"] for made in (one, other)]
    assert ids[0] != ids[1]
    orders = next(one.data for one in captured(salt=b"one").said[::-1] if not one.by_analyzer)
    assert f"O|1|{ids[0]}\r".encode() in orders, "the host's order names the tube as the analyzer does"


HL7 = (
    "MSH|^~\\&|||||20261122101500||ORU^R01|7|P|2.3.1||||||UNICODE\r"
    "PID|1||90876^^^^MR||देवी^SUNITA||19810402|Female|||Lahurabir\r"
    "PV1|1|O|OPD 7|||||MISHRA^ANIL\r"
    "OBR|1||998877665544|00001^Automated Count^99MRC||20261122101400|20261122101500|||TARA|||Anaemia|||MISHRA\r"
    "OBX|1|NM|6690-2^WBC^LN||5.1|10*9/L|4.00-10.00|N|||F\r"
    "NTE|1||told to DEVI\r"
    "ZPI|1|SUNITA DEVI\r"
)


def test_hl7_in_its_own_alphabet() -> None:
    made = captured([Said(0, True, mllp.block(HL7.encode()))], "mindray_bc")
    text = made.raw.decode()
    names = ("90876", "देवी", "SUNITA", "19810402", "Lahurabir", "MISHRA", "ANIL", "998877665544", "TARA", "Anaemia")
    assert [name for name in (*names, "DEVI", "OPD") if name.lower() in text.lower()] == []
    row = made.read["messages"][0]["observations"][0]
    assert (row["code"], row["value"], row["unit"], row["observed_at"]) == ("6690-2", "5.1", "10*9/L", "20261122101500")
    assert re.search(r"PID\|1\|\|[1-9]\d{4}\^\^\^\^[A-Z]{2}\|\|[ऀ-ॿ]{4}\^[A-Z]{6}\|\|19\d{6}\|Female\|", text)
    assert made.doubts == ()


def test_a_control_s_lot_and_an_unread_barcode_stay() -> None:
    lot = captured([Said(0, True, (CAPTURES / "sysmex_xn/xn550_qc_per_record_frames.raw").read_bytes())])
    ids = {row["sample_id"] for m in lot.read["messages"] for row in m["observations"]}
    assert all(identity.startswith("QC-") for identity in ids)


@pytest.mark.parametrize("raw", sorted(CAPTURES.glob("*/*.raw"))[::3], ids=lambda raw: f"{raw.parent.name}/{raw.stem}")
def test_every_driver_reads_its_captures_as_before(raw: Path) -> None:
    """Every third of them; ids of patients are gone from the bytes."""
    data, driver = raw.read_bytes(), load_driver(raw.parent.name)
    made = capture(driver, [Said(0, True, data)], SALT)
    odd = [doubt for doubt in made.doubts if "dialect of its own" not in doubt and "still stand" not in doubt]
    assert odd == [] and len(made.raw) == len(data)
    before = decode_file(data, raw.parent.name)["messages"]
    patients = {
        row["sample_id"] for m in before if m["type"] == "result" for row in m["observations"]
    }
    long = {one for one in patients if one and len(one) > 5 and not driver.unread(one)}
    controls = {
        row["sample_id"] for m in before if m["type"] != "result" for row in m["observations"]
    }
    assert [one for one in long - controls if one.encode() in made.raw] == []


def test_the_number_of_a_diluted_tube_is_a_tube_s_number() -> None:
    data = (CAPTURES / "snibe_maglumi/simple_frame_result_and_query.raw").read_bytes()
    made = captured([Said(0, True, data)], "snibe_maglumi")
    assert b"107632600512 dil" in data and b"107632600512" not in made.raw and b" dil|" in made.raw


@pytest.mark.parametrize(
    "encoded", ["सुनीता".encode(), "赵丽".encode("gb18030"), "Zoë".encode("latin-1"), b"\x81\x9f\xfe"]
)
def test_a_name_in_an_alphabet_that_is_not_known_is_replaced_byte_for_byte(encoded: bytes) -> None:
    body = b"H|\\^&|||XN-550\rP|1||||" + encoded + b"^K\rO|1||^^998877665544^B\rL|1\r"
    noise = b"\x91\xff\x05"  # a damaged byte elsewhere must not change how names are read
    made = captured([Said(0, True, noise + lis1a.frame(1, body, last=True))])
    left = made.raw[made.raw.index(b"P|1||||") + 7 :][: len(encoded)]
    same = [a for a, b in zip(encoded, left, strict=True) if a == b and a >= 0x80]
    assert encoded not in made.raw and len(same) <= len(encoded) * 2 // 3


def test_records_whose_frames_a_recorder_took_away() -> None:
    lines = (
        b"1H|\\^&|||XN-550\r5A\r2P|1||||RAI^SITA\r6B\r3O|1||^^998877665544^B\r7C\r"
        b"4R|1|^^^^WBC^1|6.4|10*3/uL\r8D\r5L|1\r9E\r"
    )
    made = captured([Said(0, True, lines)])
    assert b"SITA" not in made.raw and b"998877665544" not in made.raw
    assert b"4R|1|^^^^WBC^1|6.4|10*3/uL\r8D\r" in made.raw


def test_short_ids_of_a_list_are_replaced_too() -> None:
    data = lis1a.frame(1, b"H|`^&\rQ|1|^101`102`103\rL|1\r", last=True)
    made = captured([Said(0, True, data)], "erba_xl")
    asked = made.read["messages"][0]["query_sample_ids"]
    assert len(asked) == 3 and not {"101", "102", "103"} & set(asked)


def test_in_print_the_ids_and_what_is_labelled_are_replaced() -> None:
    data = (CAPTURES / "sensacore_st200/two_back_to_back_then_control.raw").read_bytes()
    made = captured([Said(0, True, data)], "sensacore_st200")
    assert b"SITA KUMARI" in data and b"107632600692" in data
    assert b"SITA" not in made.raw and b"KUMARI" not in made.raw and b"107632600692" not in made.raw
    assert any("dialect of its own" in doubt for doubt in made.doubts)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\x02R\x1c0\x1cRAI SITA  \x1c778899\x1c1\x1c\x03", "GLUC"),
        ("\x02D\x1c0\x1c0\x1cA\x1cRAI SITA   \x1c778899\x1c\x03", "A"),
        (f"\x02D1U{'':68}{'RAI SITA':>16}0000", "D1U"),
        ("\x02D 000601 0009      778899    EF034RAI SITA  005     4.80  006   123.63r \x03", "123.63r"),
        ("|pi778899|pnRAI SITA|ci0042|rtTSH", "rtTSH"),
        ("\x1ciLNAME\x1dRAI SITA\x1d\x1d\x1cmpH\x1d7.2", "mpH"),
        ("Patient Name : RAI SITA\r\nGlucose : 5.5", "Glucose : 5.5"),
    ],
)
def test_names_in_dialects_of_columns_tags_and_print(text: str, kept: str) -> None:
    made = scrub_text(text + kept, Pseudonyms(SALT), {"778899"})
    assert "RAI" not in made and "SITA" not in made and "778899" not in made and made.endswith(kept)


def test_words_that_stay_in_a_dialect_are_shown() -> None:
    data = (CAPTURES / "siemens_rapidlab/short_sample_then_gases_then_control.raw").read_bytes()
    made = captured([Said(0, True, data)], "siemens_rapidlab")
    (doubt,) = made.doubts
    assert "words that stay: Siemens, Diagnostics, Blood" in doubt and "Measured" in doubt


def test_the_check_of_a_block_is_counted_anew() -> None:
    data = (CAPTURES / "siemens_rapidpoint/fetched_corrected_control.raw").read_bytes()
    made = captured([Said(0, True, data)], "siemens_rapidpoint")
    assert b"107632600668" in data and b"107632600668" not in made.raw
    assert [m["type"] for m in made.read["messages"]] == [
        m["type"] for m in decode_file(data, "siemens_rapidpoint")["messages"]
    ]


# ---- names ------------------------------------------------------------------------------------------------------


def test_a_name_keeps_its_length_its_letters_and_its_script() -> None:
    names = Pseudonyms(SALT)
    made = names.text("Ram RAM 0047 19810402 é सीता")
    first, again, number, day, accent, hindi = made.split(" ")
    assert first.lower() == again.lower() != "ram" and first[0].isupper() and again.isupper()
    assert number.startswith("00") and number[2] != "0" and number != "0047"
    assert re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d)", day) and day != "19810402"
    assert accent != "é" and len(made.encode()) == len("Ram RAM 0047 19810402 é सीता".encode())
    assert all("ऀ" <= char <= "ॿ" for char in hindi) and hindi != "सीता"


def test_no_two_numbers_become_one_and_none_becomes_another_s() -> None:
    names = Pseudonyms(SALT)
    numbers = {f"{number:03d}" for number in range(100, 500)}
    names.avoid(numbers)
    made = {names.text(number) for number in numbers}
    assert len(made) == len(numbers) and not made & numbers
    assert names.text("000") == "000"
    assert tokens("a_1, b") == [(0, 1), (2, 3), (5, 6)]


def test_without_the_salt_nobody_finds_the_name_again() -> None:
    assert len({Pseudonyms(bytes([number])).text("SUNITA") for number in range(20)}) == 20


# ---- the command ------------------------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(labmitra.app, ["capture", *words])
    return done.exit_code, done.output


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path / "var"))
    (tmp_path / "var").mkdir()
    clock = Clock()
    made = Journal.open(tmp_path / "var" / "journal.sqlite3", clock)
    made.clock = clock
    yield made
    made.close()


def heard(journal: Journal) -> str:
    """The message on the line of xn550; its id."""
    session = journal.session("xn550", "LIS2-A2", "10.0.0.7")
    message = journal.message(session, RECORDS.encode())
    *others, last = [one for one in spoken() if one.by_analyzer][:-1]
    for one in others:
        journal.append(session, one.data, "frame")
        journal.clock.forward(milliseconds=20)
    journal.append(session, last.data, "frame 3", frame=True, messages=(message,))
    return message.id


def test_the_command_keeps_a_message_of_the_journal(tmp_path: Path, journal: Journal) -> None:
    words = (heard(journal), "--into", str(tmp_path), "--case", "wdf")
    code, text = run(*words)
    assert code == 0 and "Look at every byte of it before it leaves the laboratory" in text
    folder = tmp_path / "sysmex_xn"
    raw = (folder / "wdf.raw").read_bytes()
    assert json.loads((folder / "wdf.json").read_text(encoding="utf-8")) == decode_file(raw, "sysmex_xn")
    talk = json.loads((folder / "wdf.talk.json").read_text(encoding="utf-8"))["chunks"]
    assert [one["ms"] for one in talk][:3] == [0, 20, 40] and raw.startswith(b"\x05\x02")
    assert not [one for one in SECRET if one.encode() in raw]
    code, text = run(*words)
    assert code == 2 and "is there already" in text


def test_what_makes_no_sense_is_one_sentence(tmp_path: Path, journal: Journal) -> None:
    code, text = run("nobody", "--into", str(tmp_path))
    assert code == 2 and 'There is no message "nobody" in the journal' in text
    assert run()[0] == 2
    code, text = run("--live", "xn55", "--into", str(tmp_path))
    assert code == 2 and "xn550" in text
    code, text = run("--live", "xn550", "--wait", "0", "--into", str(tmp_path))
    assert code == 2 and "has sent no message within 0 seconds" in text
    file = CAPTURES / "sysmex_xp/xp100.raw"
    assert run("--file", str(file), "--into", str(tmp_path))[0] == 2
    code, text = run("--file", str(file), "--driver", "mindray_bc", "--into", str(tmp_path))
    assert code == 2 and "mindray_bc cannot read it" in text
    assert not (tmp_path / "sysmex_xn").exists()


def test_live_takes_the_next_message(tmp_path: Path, journal: Journal) -> None:
    from middleware.kit.capture_files import from_line, make, write
    from tests.labs import settings_for

    settings = settings_for(tmp_path / "var", "")
    heard(journal)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        if not pauses:
            heard(journal)
        pauses.append(seconds)

    source = from_line(settings, "xn550", 60.0, pause)
    assert len(pauses) == 2 and source.driver.name == "sysmex_xn"
    made = make(source)
    assert write(replace(made, driver="sysmex_xn"), tmp_path, source.case)[0].exists()
