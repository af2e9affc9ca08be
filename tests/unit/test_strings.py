"""The lab's sentences: one table, both languages, no key twice."""

import csv
import re
from pathlib import Path

import pytest

from middleware.settings import ConfigError
from server.strings import Strings

CONFIG = Path(__file__).parents[2] / "config"
CATALOGUE = Path(__file__).parents[3] / "shared/catalogue/strings_en_hi.csv"


def write(folder: Path, **files: str) -> Path:
    (folder / "strings").mkdir()
    for name, text in files.items():
        (folder / "strings" / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_files_are_merged_and_blanks_filled(tmp_path: Path) -> None:
    config = write(tmp_path, a="key,en,hi\na.tries,{n} left,{n} बाकी\n", b='key,en,hi\nb.x,"yes, x",हां\n')
    strings = Strings.load(config)
    assert strings.t("a.tries", "hi", n=3) == "3 बाकी"
    assert strings.t("b.x", "en") == "yes, x"
    assert strings.has("b.x")
    assert not strings.has("b.y")


def test_a_value_is_never_read_as_a_sentence(tmp_path: Path) -> None:
    strings = Strings.load(write(tmp_path, a="key,en,hi\na,for {who},{who} के लिए\n"))
    assert strings.t("a", "en", who="{0.__class__} {who}") == "for {0.__class__} {who}"


@pytest.mark.parametrize(("key", "lang"), [("no.such", "en"), ("a", "fr"), ("a", "en")])
def test_what_is_missing_is_a_key_error(tmp_path: Path, key: str, lang: str) -> None:
    strings = Strings.load(write(tmp_path, a="key,en,hi\na,for {who},{who} के लिए\n"))
    with pytest.raises(KeyError):
        strings.t(key, lang)


def test_every_mistake_is_named(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        a="key,en,hi\nx,X,एक्स\nempty,Empty,\nblank,{n} left,बाकी\nbrace,{oops,{oops\nshort,a\n",
        b="key,en,hi\nx,X again,फिर\n",
        c="name,english,hindi\n",
    )
    with pytest.raises(ConfigError) as caught:
        Strings.load(config)
    assert [(p.file, p.key, p.reason) for p in caught.value.problems] == [
        ("strings/a.csv", "empty", "an empty cell"),
        ("strings/a.csv", "blank", "English and Hindi have different {blanks}"),
        ("strings/a.csv", "brace", "braces: expected '}' before end of string"),
        ("strings/a.csv", "short", "2 columns"),
        ("strings/b.csv", "x", "the key stands twice"),
        ("strings/c.csv", "header", "the first line is not the header"),
    ]


def test_the_lab_s_own_sentences_load() -> None:
    assert Strings.load(CONFIG).t("report.title", "hi") == "जांच रिपोर्ट"


def test_hindi_follows_the_writing_rules() -> None:
    """Domain 7.7: digits 0-9, जांच without chandrabindu, never खतरनाक."""
    with (CONFIG / "strings/report.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert not re.search("[०-९]|जाँच|खतरनाक", row["hi"]), row["key"]


@pytest.mark.skipif(not CATALOGUE.exists(), reason="../shared is not here")
def test_the_shared_sentences_are_all_there_and_the_pin_has_six_digits() -> None:
    strings = Strings.load(CONFIG)
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        rows = {r["key"]: {"en": r["en"], "hi": r["hi"]} for r in csv.DictReader(file)}
    rows["link.pin"] = {"en": "Enter the 6-digit PIN on your slip", "hi": "पर्ची पर लिखा 6 अंकों का पिन डालें"}
    assert {key: dict(strings.table[key]) for key in rows} == rows
