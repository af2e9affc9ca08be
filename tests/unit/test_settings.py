"""The configuration: the delivered one is right, the environment overrides it, each mistake has its remedy."""

from __future__ import annotations

import hashlib
import shutil
import stat
from datetime import date
from pathlib import Path

import pytest

from middleware.alarm_settings import AlarmKind
from middleware.check import check, report
from middleware.problems import Problem
from middleware.secrets_file import read_or_make
from middleware.settings import ConfigError, Settings, load

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of the delivered configuration, to be spoiled."""
    target = tmp_path / "config"
    shutil.copytree(CONFIG, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def replaced(config: Path, file: str, old: str, new: str) -> list[Problem]:
    """The problems after one text of a file was replaced."""
    path = config / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {file}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return check(config, {})


def load_here(config: Path, **environ: str) -> Settings:
    """Load with these variables of the environment."""
    return load(config, environ)


# ---- right ------------------------------------------------------------------------------------------------------


def test_the_delivered_configuration_is_right(config: Path) -> None:
    """The demo lab of the issue."""
    settings = load_here(config)
    assert (settings.lab.facility.code, settings.lab.site) == ("VNS-DH-DDU", 107)
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert (settings.hub.url, settings.reports.port) == ("http://127.0.0.1:8090", 8090)
    assert settings.var == config.parent / "var"
    assert settings.database_url == f"sqlite:///{config.parent / 'var' / 'lab.sqlite3'}"
    assert {a.name: (a.driver, a.line) for a in settings.analyzers} == {
        "xn550": ("sysmex_xn", "tcp-listen://127.0.0.1:9101"),
        "xl640": ("erba_xl", f"serial:{config.parent / 'var'}/erba_xl?baud=9600"),
        "bc5150": ("mindray_bc", "tcp://127.0.0.1:9103"),
        "e411": ("roche_cobas_e411", "tcp-listen://127.0.0.1:9102"),
    }
    assert not any(a.auto_release for a in settings.analyzers)
    assert len(settings.catalogue) == 130
    assert settings.panel_names["LFT"][0] == "Liver function tests (LFT)"


def test_secrets_are_made_once_and_for_this_user_only(config: Path) -> None:
    """Three files under var, mode 0600, the same at the next start; the local report service trusts the key."""
    first, second = load_here(config), load_here(config)
    assert (first.secret, first.hub.key, first.reports.secret) == (second.secret, second.hub.key, second.reports.secret)
    assert len({first.secret, first.hub.key, first.reports.secret}) == 3
    assert min(len(first.secret), len(first.hub.key), len(first.reports.secret)) >= 43
    assert sorted(p.name for p in first.var.iterdir()) == ["facility.key", "reports.secret", "secret"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in first.var.iterdir()} == {0o600}
    assert first.reports.facility_keys == {"VNS-DH-DDU": hashlib.sha256(first.hub.key.encode()).hexdigest()}


def test_a_secret_that_another_process_made_is_kept(tmp_path: Path) -> None:
    """Three processes start at the same moment."""
    (tmp_path / "secret").write_text("made by the other\n", encoding="ascii")
    assert read_or_make(tmp_path / "secret") == "made by the other"
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_check_writes_nothing(config: Path) -> None:
    """It may be run by anybody, anywhere."""
    assert check(config, {}) == []
    assert not (config.parent / "var").exists()
    assert report(config, {}).endswith("The configuration is right.")


def test_the_environment_overrides_every_table(config: Path, tmp_path: Path) -> None:
    """Numbers and yes/no come as texts."""
    settings = load_here(
        config,
        LABMITRA_STORE__VAR=str(tmp_path / "data"),
        LABMITRA_STORE__DATABASE_URL="postgresql://lab@db/lab",
        LABMITRA_REPORTS__DATABASE_URL="postgresql+psycopg://hub@db/hub",
        LABMITRA_HUB__URL="https://hub.example.in/",
        LABMITRA_HUB__KEY="k-1",
        LABMITRA_HUB__PUBLIC_URL="https://r.example.in",
        LABMITRA_WEB__HOST="0.0.0.0",
        LABMITRA_WEB__PORT="8181",
        LABMITRA_WEB__SECURE_COOKIES="true",
        LABMITRA_REPORTS__PORT="8191",
        LABMITRA_SMS__HTTP__URL="http://127.0.0.1:9999/send",
        LABMITRA_SMS__HTTP__SECRETS__KEY="s-1",
        LABMITRA_CONFIG="not ours: no table",
        PATH="/bin",
    )
    assert settings.var == tmp_path / "data"
    assert settings.database_url == "postgresql+psycopg://lab@db/lab"
    assert settings.reports.database_url == "postgresql+psycopg://hub@db/hub"
    assert (settings.hub.url, settings.hub.key) == ("https://hub.example.in", "k-1")
    assert (settings.hub.public_url, settings.reports.public_url) == ("https://r.example.in", "https://r.example.in")
    assert (settings.web.host, settings.web.port, settings.web.secure_cookies) == ("0.0.0.0", 8181, True)
    assert settings.reports.port == 8191
    assert settings.reports.sms.table["url"] == "http://127.0.0.1:9999/send"
    assert settings.reports.sms.table["secrets"] == {"key": "s-1"}
    assert not (settings.var / "facility.key").exists()


def test_the_version_of_the_rules_changes_with_a_limit(config: Path) -> None:
    """A verdict depends on the rules and on the limits."""
    before = load_here(config).rules.version
    path = config / "tests.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("2.8,6.2", "2.8,6.3", 1), encoding="utf-8")
    assert load_here(config).rules.version != before
    assert len(before) <= 16


# ---- mistakes ---------------------------------------------------------------------------------------------------

LAB = [
    ('site = 107', 'site = 7', "lab.site", "7 is outside 100-999", "a number from 100 to 999"),
    ('site = 107', 'site = "A"', "lab.site", "'A' is not a whole number", "site = 100"),
    ('site = 107\n', '', "lab.site", "is missing", "write site = …"),
    ('"VNS-DH-DDU"', '"VNS-DH-DUD"', "lab.facility", '"VNS-DH-DUD" is not in facilities.csv',
     'did you mean "VNS-DH-DDU"?'),
    ('phone = "0542', 'fone = "0542', "lab.fone", "is unknown", 'did you mean "phone"?'),
    ('"Asia/Kolkata"', '"Asia/Varanasi"', "lab.timezone", '"Asia/Varanasi" is unknown', "Asia/Kolkata"),
    ('language = "en"', 'language = "ur"', "lab.language", '"ur" is unknown', "known: en, hi"),
    ('port = 8080', 'port = 80800', "web.port", "80800 is outside 1-65535", "a number from 1 to 65535"),
    ('port = 8080', 'port = 8090', "reports.port", "8090 is taken by [web] of lab.toml", "a port of its own"),
    ('secure_cookies = false', 'secure_cookies = "no"', "web.secure_cookies", "'no' is neither true nor false",
     "secure_cookies = false"),
    ('url = "http://127.0.0.1:8090"', 'url = "127.0.0.1:8090"', "hub.url",
     '"127.0.0.1:8090": begins with none of http:, https:', "like http://192.168.1.20:9101"),
    ('database_url = ""', 'database_url = "mysql://db/lab"', "store.database_url",
     '"mysql://db/lab": begins with none of sqlite:, postgresql+psycopg:, postgresql:', "like postgresql+psycopg://labmitra@db.local/labmitra"),
    ('[sms]\n', '[smss]\n', "smss", "is unknown", 'did you mean "sms"?'),
    ('gateway = "http"', 'gateway = "msg91"', "sms.gateway", '"msg91" is unknown', "known: console, http"),
    ('header = "UPHLTH"', 'header = "UPH"', "sms.header", '"UPH" does not fit', "six letters, as registered with DLT"),
    ('quiet_to = 7', 'quiet_to = 24', "sms.quiet_to", "24 is outside 0-23", "a number from 0 to 23"),
    ('[reports.facility_keys]', '[reports.facility_keys]\n"VNS-DWH" = "secret"', "reports.facility_keys.VNS-DWH",
     "is not a SHA-256 in hex", "64 digits 0-9 a-f, never the key itself"),
]  # fmt: skip
ANALYZERS = [
    ('driver = "sysmex_xn"', 'driver = "sysmex_xnn"', "analyzer xn550.driver", '"sysmex_xnn" is unknown',
     'did you mean "sysmex_xn"?'),
    ('name = "bc5150"', 'name = "xn550"', "analyzer xn550.name", "this name is given twice", "a name of its own"),
    ('name = "e411"', 'name = "E 411"', "analyzer E 411.name", '"E 411" does not fit',
     "small letters, digits, - and _"),
    ('127.0.0.1:9102', '127.0.0.1:9101', "analyzer e411.line", "port 9101 is taken by analyzer xn550",
     "a port of its own"),
    ('127.0.0.1:9102', '127.0.0.1:8080', "analyzer e411.line", "port 8080 is taken by [web] of lab.toml",
     "a port of its own"),
    ('"tcp://127.0.0.1:9103"', '"tcp://127.0.0.1"', "analyzer bc5150.line", '"tcp://127.0.0.1": no port',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"COM3"', "analyzer bc5150.line",
     '"COM3": begins with none of tcp-listen:, tcp:, serial:, rfc2217:, socket:, folder:, http-listen:',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"folder:/in?quiet=x"', "analyzer bc5150.line",
     '"folder:/in?quiet=x": quiet=x is not a number of seconds from 0 to 3600',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"serial:/dev/x?baud=fast"', "analyzer bc5150.line",
     '"serial:/dev/x?baud=fast": baud=fast is no speed such as 9600',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"serial:/dev/x?baud=9600&parity=Q"', "analyzer bc5150.line",
     '"serial:/dev/x?baud=9600&parity=Q": parity=Q is not one of N, E, O, M, S',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"serial:/dev/x?bauds=9600"', "analyzer bc5150.line",
     '"serial:/dev/x?bauds=9600": bauds is unknown: known are baud, bits, parity, stop, flow',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"http-listen://127.0.0.1/ions"', "analyzer bc5150.line",
     '"http-listen://127.0.0.1/ions": no port', "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('"tcp://127.0.0.1:9103"', '"http-listen://127.0.0.1:9101/ions"', "analyzer bc5150.line",
     "port 9101 is taken by analyzer xn550", "a port of its own"),
    ('"tcp://127.0.0.1:9103"', '"http-listen://127.0.0.1:9110/ions?to=x"', "analyzer bc5150.line",
     '"http-listen://127.0.0.1:9110/ions?to=x": to is not from',
     "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600"),
    ('8 = "TSH"', '8 = "TSHH"', "analyzer e411.codes.8", '"TSHH" is no test of tests.csv', 'did you mean "TSH"?'),
    ('"GLUF|GLUPP', '"GLUF|GLUP', "analyzer xl640.codes.GLU", '"GLUP" is no test of tests.csv',
     'did you mean "GLUPP"?'),
    ('tests = ["HB"', 'tests = ["HBB"', "analyzer xn550.tests", '"HBB" is unknown', 'did you mean "HB"?'),
    ('auto_release = false', 'autorelease = false', "analyzer xn550.autorelease", "is unknown",
     'did you mean "auto_release"?'),
]  # fmt: skip
RULES = [
    ('"delta"', '"dellta"', "rules.enabled", '"dellta" is unknown', 'did you mean "delta"?'),
    ('"critical", ', '', "rules.enabled", '"critical" is missing: it may not be switched off', 'add "critical"'),
    ('[delta]', '[dalta]', "dalta", "there is no such rule", 'did you mean "delta"?'),
    ('lifelong =', 'life_long =', "delta.life_long", "is unknown", 'did you mean "lifelong"?'),
    ('lifelong = ["ABO", "RHD"]', 'lifelong = ["ABO", "RHDD"]', "delta.lifelong", '"RHDD" is unknown',
     'did you mean "RHD"?'),
    ('without_window = "reference"', 'without_window = "refrence"', "release_limits.without_window",
     '"refrence" is unknown', 'did you mean "reference"?'),
    ('ignore = ["",', 'ignore = [1,', "analyzer_flags.ignore", "is not a list of texts", 'ignore = ["…", "…"]'),
]  # fmt: skip
MISTAKES = [
    *(("lab.toml", *m) for m in LAB),
    *(("analyzers.toml", *m) for m in ANALYZERS),
    *(("rules.toml", *m) for m in RULES),
]


@pytest.mark.parametrize(("file", "old", "new", "key", "reason", "instead"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_named(config: Path, file: str, old: str, new: str, key: str, reason: str, instead: str) -> None:
    """File, key, reason and what to write instead; nothing else is complained of in that file and key."""
    problems = replaced(config, file, old, new)
    shown = Problem("lab.toml" if key == "reports.port" else file, key, reason, instead)
    assert shown in problems, problems
    assert [p for p in problems if p.key == key] == [shown]


def test_all_mistakes_are_told_at_once(config: Path) -> None:
    """And load() refuses with the same list."""
    replaced(config, "lab.toml", "site = 107", "site = 7")
    replaced(config, "analyzers.toml", "sysmex_xn", "sysmex")
    problems = replaced(config, "rules.toml", '"delta"', '"dellta"')
    assert [p.file for p in problems] == ["lab.toml", "analyzers.toml", "rules.toml"]
    with pytest.raises(ConfigError) as refused:
        load_here(config)
    assert refused.value.problems == problems
    assert "lab.toml: lab.site: 7 is outside 100-999 (a number from 100 to 999)" in str(refused.value)


def test_broken_toml_and_a_missing_file(config: Path) -> None:
    """Named once each."""
    (config / "rules.toml").unlink()
    problems = replaced(config, "analyzers.toml", 'name = "xn550"', 'name = "xn550')
    files = {p.file: p.reason for p in problems if p.key == "file"}
    assert files["analyzers.toml"].startswith("is not TOML")
    assert files["rules.toml"].startswith("cannot be read")


def test_a_variable_of_an_unknown_table_or_key(config: Path) -> None:
    """A slip of the pen in the environment is told like one in a file."""
    problems = check(config, {"LABMITRA_WEEB__PORT": "1", "LABMITRA_WEB__PRT": "1"})
    assert [(p.file, p.key, p.instead) for p in problems] == [
        ("environment", "LABMITRA_WEEB__PORT", 'did you mean "web"?'),
        ("lab.toml", "web.prt", 'did you mean "port"?'),
    ]


def test_a_folder_that_cannot_be_written(config: Path, tmp_path: Path) -> None:
    """Secrets must be kept somewhere."""
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(ConfigError) as refused:
        load_here(config, LABMITRA_STORE__VAR=str(tmp_path / "file" / "var"))
    assert {p.key for p in refused.value.problems} == {"hub.key", "reports.secret", "store.secret"}


def test_the_report_names_everything_a_person_needs(config: Path) -> None:
    """One block per file, with remedy."""
    replaced(config, "lab.toml", "site = 107", "site = 7")
    assert report(config, {}).splitlines() == [
        "lab.toml",
        "  lab.site",
        "      wrong:   7 is outside 100-999",
        "      instead: a number from 100 to 999",
        "1 mistake. Nothing starts until this is put right.",
    ]


# ---- alarms -----------------------------------------------------------------------------------------------------


def test_alarms_as_delivered_tell_nobody(config: Path) -> None:
    alarms = load_here(config).alarms
    assert (alarms.mobiles, alarms.silence, alarms.clock_minutes, alarms.most_a_day) == ((), "normal", 5, 10)
    assert alarms.sms_kinds == frozenset(AlarmKind) and (alarms.quiet_from, alarms.quiet_to) == (21, 7)


def test_alarms_by_the_environment_and_by_analyzer(config: Path) -> None:
    path = config / "analyzers.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("auto_release = false", 'silence = "off"\nclock_minutes = 30', 1), encoding="utf-8")
    settings = load_here(
        config, LABMITRA_ALARMS__MOBILES="98123 45670, +91-98765-43210,098123-45670", LABMITRA_ALARMS__SILENCE="high",
        LABMITRA_ALARMS__HOLIDAYS="2027-01-26", LABMITRA_ALARMS__SMS_KINDS="silence, books",
    )  # fmt: skip
    assert settings.alarms.mobiles == ("+919812345670", "+919876543210")
    assert settings.alarms.holidays == {date(2027, 1, 26)}
    assert settings.alarms.sms_kinds == {AlarmKind.SILENCE, AlarmKind.BOOKS}
    assert [(a.silence, a.clock_minutes) for a in settings.analyzers[:2]] == [("off", 30), ("high", 5)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mobiles = []", 'mobiles = ["12345"]', '"12345" is no Indian mobile number'),
        ("mobiles = []", f"mobiles = {[f'981234567{n}' for n in range(6)]}", "6 numbers"),
        ("holidays = []", 'holidays = ["26.1.2027"]', '"26.1.2027" is no date'),
        ('silence = "normal"', 'silence = "loud"', '"loud" is unknown'),
        ("clock_minutes = 5", "clock_minutes = 5000", "5000 is outside 0-1440"),
        ("most_a_day = 10", "most_a_day = 0", "0 is outside 1-50"),
        ("clock_minutes = 5", "clock_seconds = 5", "is unknown"),
        ('metrics_key = ""', 'metrics_key = "secret"', '"secret" does not fit'),
    ],
)
def test_mistakes_about_alarms_are_named(config: Path, old: str, new: str, reason: str) -> None:
    assert [p.reason for p in replaced(config, "lab.toml", old, new)] == [reason]
