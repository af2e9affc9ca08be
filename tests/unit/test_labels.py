"""Tube labels: the bars decode, the text fits, a name is never a printer command."""

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime

import pypdfium2
import pytest
import zxingcpp

from server.labels import WIDTHS, Label, bars, label_pdf, label_zpl, symbols
from server.latin import latin

LABEL = Label(
    sample_id="107632600424",
    name="Savitri Devi",
    age_sex="45 F",
    container="E",
    group="CBC",
    at=datetime(2026, 11, 22, 4, 10, tzinfo=UTC),
    site="CHC Cholapur",
    serial="42",
)


def pages(pdf: bytes, dpi: int) -> list[memoryview]:
    """Each page as grey pixels, height by width."""
    with contextlib.closing(pypdfium2.PdfDocument(pdf)) as document:
        return [grey(page, dpi) for page in document]


def grey(page: pypdfium2.PdfPage, dpi: int) -> memoryview:
    bitmap = page.render(scale=dpi / 72, grayscale=True)
    raw, stride, width = bytes(bitmap.buffer), bitmap.stride, bitmap.width
    rows = b"".join(raw[at : at + width] for at in range(0, len(raw), stride))
    return memoryview(rows).cast("B", (bitmap.height, width))


def read(pixels: memoryview) -> list[tuple[str, str]]:
    return [(str(code.symbology), code.text) for code in zxingcpp.read_barcodes(pixels)]


def test_code_128_c_of_the_worked_example() -> None:
    """Start C, six pairs, check modulo 103, stop; 11 modules each, 13 the stop."""
    assert symbols("107632600424") == (
        105,
        10,
        76,
        32,
        60,
        4,
        24,
        103 - (-(105 + 10 + 152 + 96 + 240 + 20 + 144)) % 103,
        106,
    )
    last, wide = bars("107632600424")[-1]
    assert (last + wide, len(bars("107632600424"))) == (101, 8 * 3 + 4)


def test_the_table_of_widths_is_whole() -> None:
    assert len(WIDTHS) == len(set(WIDTHS)) == 107
    assert [sum(map(int, widths)) for widths in WIDTHS] == [11] * 106 + [13]
    assert all(sum(map(int, widths[::2])) % 2 == 0 for widths in WIDTHS[:-1])  # bars are always an even sum


@pytest.mark.parametrize("bad", ["", "123", "12a4", "१२", "12 4", "12\n"])
def test_what_is_not_pairs_of_digits_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="pairs of digits"):
        symbols(bad)


def test_every_symbol_decodes() -> None:
    """All hundred pairs, eight labels of them, read by a reader nobody here wrote, at the printer's own resolution."""
    digits = "".join(f"{n:02d}" for n in range(100)) + "0123"
    ids = [digits[at : at + 12] for at in range(0, 204, 12)]
    found = [read(page) for page in pages(label_pdf([replace(LABEL, sample_id=i) for i in ids]), 203)]
    assert found == [[("Code 128", i)] for i in ids]


def test_the_label_is_50_by_25_mm_and_its_bars_are_whole_dots() -> None:
    with contextlib.closing(pypdfium2.PdfDocument(label_pdf([LABEL]))) as document:
        assert [round(side / 72 * 25.4, 2) for side in document[0].get_size()] == [50, 25]
        page = grey(document[0], 2030)  # ten pixels to a dot, thirty to a module
    row = [page[1000, x] < 128 for x in range(page.shape[1])]
    edges = [x for x in range(1, len(row)) if row[x] != row[x - 1]]
    modules = [at for first, wide in bars(LABEL.sample_id) for at in (first, first + wide)]
    assert [round((x - edges[0]) / 30) for x in edges] == modules
    assert all(abs((x - 480) - 30 * at) <= 3 for x, at in zip(edges, modules, strict=True))
    assert min(edges[0], len(row) - edges[-1]) >= 300  # ten modules of quiet on both sides


def test_the_label_says_what_a_person_needs() -> None:
    with contextlib.closing(pypdfium2.PdfDocument(label_pdf([LABEL]))) as document:
        text = document[0].get_textpage().get_text_bounded()
    for said in ("Savitri Devi", "45 F", "22-11-26 09:40", "107-6326-0042-4", "E", "CBC", "CHC Cholapur", "42"):
        assert said in text


def test_a_long_hindi_name_still_leaves_a_readable_code() -> None:
    label = replace(LABEL, name="सावित्री देवी विश्वकर्मा " * 5, group="LFT KFT LIPID THYROID " * 3, site="X" * 200)
    assert [read(page) for page in pages(label_pdf([label, label]), 203)] == [[("Code 128", LABEL.sample_id)]] * 2


def test_the_same_labels_are_the_same_bytes() -> None:
    assert label_pdf([LABEL]) == label_pdf([LABEL])
    with pytest.raises(ValueError, match="no label"):
        label_pdf([])


def test_zpl_of_one_label() -> None:
    assert label_zpl([LABEL]) == (
        "^XA^CI28^PW400^LL200^LH0,0\n"
        "^FO16,10^A0N,24,24^FDSavitri Devi^FS\n"
        "^FO16,36^A0N,20,20^FD45 F 22-11-26 09:40^FS\n"
        "^FO310,8^A0N,48,48^FD42^FS\n"
        "^FO48,62^BY3^BCN,84,N,N,N^FD>;107632600424^FS\n"
        "^FO16,150^A0N,24,24^FD107-6326-0042-4^FS\n"
        "^FO214,150^A0N,26,26^FDE CBC^FS\n"
        "^FO16,178^A0N,18,18^FDCHC Cholapur^FS\n"
        "^XZ\n"
    )


@pytest.mark.parametrize(
    "name",
    ["^XZ^XA^FDevil", "~JR", "a\r\n^XA", "＾XZ", "\\1F", "राम^FS^XZ", "_5E", "\x1b~DG", "a\u2028^XA"],
)
def test_a_name_cannot_speak_to_the_printer(name: str) -> None:
    bad = replace(LABEL, name=name, age_sex=name, group=name, site=name, serial=name, container=name)
    commands = [re.findall(r"[\^~][A-Z0-9]{2}", label_zpl([label])) for label in (bad, LABEL)]
    assert commands[0] == commands[1]
    assert label_zpl([bad]).count("\n") == label_zpl([LABEL]).count("\n")
    assert label_zpl([bad]).isascii()


def test_a_sample_id_cannot_speak_to_the_printer() -> None:
    with pytest.raises(ValueError, match="pairs of digits"):
        label_zpl([replace(LABEL, sample_id="12^XZ^XA")])


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("राम कुमार", "Ram Kumar"),
        ("सावित्री देवी", "Savitri Devi"),
        ("मोहम्मद", "Mohammad"),
        ("फ़ातिमा ज़ैदी", "Fatima Zaidi"),
        ("सिंह", "Sinh"),
        ("Ram KUMAR", "Ram KUMAR"),
        ("José Ñ", "Jose N"),
        ("李", "?"),
        ("४५", "45"),
        ("", ""),
    ],
)
def test_hindi_names_are_spelled_for_the_printer(written: str, spelled: str) -> None:
    assert latin(written) == spelled
