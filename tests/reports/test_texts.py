"""The registered SMS texts: complete, matched letter by letter, counted as an operator counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware.settings import ConfigError
from server.reports.texts import KEYS, LANGUAGES, NOTICE, Size, Template, Templates, size

CONFIG = Path(__file__).parents[2] / "config"
LONGEST = {
    "link": "https://r.example.gov.in/8K3F9QXZ2M7TWB4D",
    "days": "30",
    "report_no": "CHC-CHOLAPUR-261122-0001",
    "facility": "CHC Cholapur, Varanasi (U.P.)",
}
PARTS = {
    ("ready", "en"): Size("GSM-7", 153, 1), ("ready", "hi"): Size("UCS-2", 130, 2),
    ("corrected", "en"): Size("GSM-7", 147, 1), ("corrected", "hi"): Size("UCS-2", 130, 2),
    ("in_person", "en"): Size("GSM-7", 126, 1), ("in_person", "hi"): Size("UCS-2", 120, 2),
    ("in_person_corrected", "en"): Size("GSM-7", 131, 1), ("in_person_corrected", "hi"): Size("UCS-2", 122, 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates.load(CONFIG)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_matches_its_own_template(templates: Templates, key: str, language: str) -> None:
    template = templates.get(key, language)
    text = template.render(LONGEST)
    assert template.matches(text)
    assert not template.matches(text + ".")
    assert not template.matches(text.replace("-UPHLTH", "-OTHERS"))
    assert (LONGEST["link"] in text) == ("person" not in key)


def test_the_text_to_the_engineer_is_english_and_its_longest_takes_two_parts(templates: Templates) -> None:
    template = templates.get(NOTICE, "en")
    text = template.render(
        {"facility": LONGEST["facility"], "analyzer": "Sysmex XN-550, haematology, room 2", "since": "22 Nov 0912 hrs",
         "alarm": "silent though it usually sends now"}
    )  # fmt: skip
    assert (template.matches(text), size(text).encoding, size(text).parts) == (True, "GSM-7", 2)


def test_what_each_text_costs(templates: Templates) -> None:
    assert {(k, lang): size(templates.get(k, lang).render(LONGEST)) for k in KEYS for lang in LANGUAGES} == PARTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Size("GSM-7", 0, 1)),
        ("a" * 160, Size("GSM-7", 160, 1)),
        ("a" * 161, Size("GSM-7", 161, 2)),
        ("a" * 307, Size("GSM-7", 307, 3)),
        ("[" * 80, Size("GSM-7", 160, 1)),
        ("€" * 81, Size("GSM-7", 162, 2)),
        ("“quoted”", Size("UCS-2", 8, 1)),
        ("no-break\u00a0space", Size("UCS-2", 14, 1)),
        ("₹5", Size("UCS-2", 2, 1)),
        ("क्ष", Size("UCS-2", 3, 1)),
        ("क" * 70, Size("UCS-2", 70, 1)),
        ("क" * 71, Size("UCS-2", 71, 2)),
        ("😀", Size("UCS-2", 2, 1)),
    ],
)
def test_sizes(text: str, expected: Size) -> None:
    assert size(text) == expected


def test_slots_take_letters_and_digits_only() -> None:
    template = Template("x", "en", "#alphanumeric# at #alphanumeric#", ("report_no", "facility"), "")
    values = {"report_no": "DDU-261122-0001", "facility": "St. Mary's  (Women) Hospital"}
    assert template.render(values) == "DDU2611220001 at St Mary s Women Hospital"
    with pytest.raises(ValueError, match="does not fit"):
        template.render({"report_no": "", "facility": "डीडीयू"})


def test_a_link_slot_takes_no_words() -> None:
    template = Template("x", "en", "View #url#", ("link",), "")
    with pytest.raises(ValueError, match="does not fit"):
        template.render({"link": "https://r.example/A Rekha Devi"})


def test_mistakes_in_the_file_are_all_named(tmp_path: Path) -> None:
    text = (CONFIG / "sms_templates.toml").read_text(encoding="utf-8")
    text = text.replace("[corrected.hi]", "[corrected.ur]").replace(
        'slots = ["link", "days", "report_no"]', "slots = []"
    )
    text = text.replace('dlt_id = ""', 'dlt_id = "12"', 1)
    (tmp_path / "sms_templates.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Templates.load(tmp_path)
    assert [p.key for p in caught.value.problems] == ["ready.en.dlt_id", "ready.hi.slots", "corrected.hi"]
