"""Reads config/*.toml and LABMITRA_<TABLE>__<KEY> into Settings; collects every mistake on the way.

Turns files and texts into the frozen shapes of `settings`. Law: no mistake stops the reading, so that all are told
at once; with `make_secrets` false nothing is written. Source: the comments in config/ are the reference of every key.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from drivers import driver as forms
from middleware.alarm_settings import SILENCE_WORDS, AlarmSettings, read_alarms
from middleware.catalogue import CODED, FACILITIES, TESTS, Catalogue, read_catalogue
from middleware.config_table import Table, bad_url, listens_on
from middleware.folder_place import bad_folder, taken_twice
from middleware.http_place import bad_place
from middleware.problems import Problem, nearest
from middleware.secrets_file import read_or_make
from middleware.settings import (
    AnalyzerSettings,
    Facility,
    GatewaySettings,
    HubSettings,
    LabSettings,
    ReportServiceSettings,
    RuleSettings,
    Settings,
    WebSettings,
)
from middleware.site_settings import read_orders, read_site

LAB, ANALYZERS, RULES = "lab.toml", "analyzers.toml", "rules.toml"
PREFIX = "LABMITRA_"
TABLES = ("lab", "store", "web", "hub", "reports", "sms", "alarms")
LINE_SCHEMES = ("tcp-listen", "tcp", "serial", "rfc2217", "socket", "folder", "http-listen")
Instead = Mapping[str, str]  # the text of a file as it would be, by the file's name
DATABASE_SCHEMES = ("sqlite", "postgresql+psycopg", "postgresql")
ALWAYS_ON = ("identity", "absurd", "critical", "never_list", "unproven_driver")
RULE_NAMES = (*ALWAYS_ON, "release_limits", "delta", "analyzer_flags", "suspects", "controls_invalid", "correction",
              "second_result")  # fmt: skip


class Reading:
    """One reading of a config directory: the files, what was wrong, whether secrets may be made."""

    def __init__(self, config_dir: Path, environ: Mapping[str, str], make_secrets: bool, instead: Instead) -> None:
        self.dir, self.make_secrets, self._instead = config_dir, make_secrets, instead
        self.problems: list[Problem] = []
        self.lab = self.toml(LAB)
        self._override(environ)
        self.catalogue: Catalogue = read_catalogue(config_dir)
        self.problems += self.catalogue.problems
        self.var = Path()

    def toml(self, name: str) -> dict[str, Any]:
        """One TOML file; {} and a Problem when it cannot be read."""
        try:
            text = self._instead.get(name) or (self.dir / name).read_text(encoding="utf-8")
            return tomllib.loads(text, parse_float=Decimal)
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(Problem(name, "file", f"cannot be read: {error}", "a UTF-8 file, as delivered"))
        except tomllib.TOMLDecodeError as error:
            self.problems.append(Problem(name, "file", f"is not TOML: {error}", "quote texts; no key twice"))
        return {}

    def _override(self, environ: Mapping[str, str]) -> None:
        """Lay LABMITRA_<TABLE>__<KEY> over lab.toml; deeper tables by more double underscores."""
        for name in sorted(n for n in environ if n.startswith(PREFIX) and "__" in n):
            path = name.removeprefix(PREFIX).lower().split("__")
            if path[0] not in TABLES:
                advice = nearest(path[0], TABLES)
                self.problems.append(Problem("environment", name, f'there is no table "{path[0]}"', advice))
                continue
            table = self.lab
            for part in path[:-1]:
                table = table.setdefault(part, {}) if isinstance(table, dict) else {}
            if isinstance(table, dict):
                table[path[-1]] = environ[name]

    def table(self, name: str) -> Table:
        """One table of lab.toml."""
        return Table(LAB, name, self.lab.get(name, {}), self.problems)

    def secret(self, table: Table, key: str, path: Path) -> str:
        """The secret from environment or file; made when it is nowhere and may be made."""
        given = table.text(key, "")
        if given or not (self.make_secrets or path.exists()):
            return given
        try:
            return read_or_make(path)
        except OSError as error:
            table.problem(key, f"{path.name} cannot be kept: {error}", "a folder `var` that this user may write")
            return ""


def read_settings(
    config_dir: Path, environ: Mapping[str, str], make_secrets: bool, instead: Instead | None = None
) -> tuple[Settings | None, list[Problem]]:
    """Settings and all problems, of the files or texts `instead`; only to be used when there are no problems."""
    reading = Reading(config_dir, environ, make_secrets, instead or {})
    for name in reading.lab:
        if name not in TABLES:
            reading.problems.append(Problem(LAB, name, "is unknown", nearest(name, TABLES)))
    store = reading.table("store")
    reading.var = _var(reading, store)
    lab, web = _lab(reading), _web(reading)
    hub = _hub(reading)
    reports = _reports(reading, hub, lab.facility.code)
    alarms = read_alarms(reading.table("alarms"))
    analyzers = _analyzers(reading, alarms)
    _check_ports(reading, web, reports, analyzers)
    settings = Settings(
        config=config_dir, var=reading.var, lab=lab, web=web, hub=hub,
        database_url=_database(store, reading.var / "lab.sqlite3"), journal=reading.var / "journal.sqlite3",
        secret=reading.secret(store, "secret", reading.var / "secret"), analyzers=analyzers, rules=_rules(reading),
        catalogue=reading.catalogue.tests, panels=reading.catalogue.panels,
        facilities=tuple(_facility(f) for f in reading.catalogue.facilities), reports=reports,
        panel_names=reading.catalogue.panel_names, alarms=alarms,
        journal_days=store.integer("journal_days", 400, 0, 36500),
    )  # fmt: skip
    store.finish()
    return settings, reading.problems


# ---- lab.toml ---------------------------------------------------------------------------------------------------


def _var(reading: Reading, store: Table) -> Path:
    given = Path(store.text("var", "var") or "var").expanduser()
    return given if given.is_absolute() else (reading.dir.resolve().parent / given)


def _database(table: Table, default: Path) -> str:
    url = table.url("database_url", "", DATABASE_SCHEMES) or f"sqlite:///{default}"
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _facility(cells: Mapping[str, str]) -> Facility:
    return Facility(cells["code"], cells["name_en"], cells["name_hi"], cells["type"], cells["area"])


def _lab(reading: Reading) -> LabSettings:
    table = reading.table("lab")
    known = {f["code"]: _facility(f) for f in reading.catalogue.facilities}
    code = table.text("facility", None)
    if code not in known:
        advice = nearest(code, known) if known else "a code of " + FACILITIES
        table.problem("facility", f'"{code}" is not in {FACILITIES}', advice)
    settings = LabSettings(
        facility=known.get(code, Facility(code, code, code, "", "")),
        site=table.integer("site", None, 100, 999),
        address=table.text("address"),
        phone=table.text("phone", pattern=r"[0-9+ ()-]*", instead="digits, blanks, + and -"),
        licence=table.text("licence"),
        state_line=table.text("state_line"),
        timezone=_zone(table),
        language=table.one_of("language", ("en", "hi"), "en"),
    )
    table.finish()
    return settings


def _zone(table: Table) -> ZoneInfo:
    name = table.text("timezone", "Asia/Kolkata")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        table.problem("timezone", f'"{name}" is unknown', "Asia/Kolkata")
        return ZoneInfo("UTC")


def _web(reading: Reading) -> WebSettings:
    table = reading.table("web")
    settings = WebSettings(
        host=table.text("host", "127.0.0.1"),
        port=table.integer("port", 8080, 1, 65535),
        session_minutes=table.integer("session_minutes", 60, 1, 1440),
        secure_cookies=table.flag("secure_cookies", False),
        api_keys=_digests(table, "api_keys"),
        metrics_key=table.text("metrics_key", "", r"(?:[0-9a-f]{64})?", "SHA-256 in hex, never the key itself"),
    )
    table.finish()
    return settings


def _hub(reading: Reading) -> HubSettings:
    table = reading.table("hub")
    key_file = Path(table.text("key_file", "{var}/facility.key").replace("{var}", str(reading.var)))
    url = table.url("url", "", ("http", "https")).rstrip("/")
    settings = HubSettings(
        url=url,
        public_url=table.url("public_url", url, ("https", "http")).rstrip("/"),
        key=reading.secret(table, "key", key_file),
        retry_seconds=table.integer("retry_seconds", 5, 1, 3600),
    )
    table.finish()
    return settings


def _digests(table: Table, key: str) -> dict[str, str]:
    """Name → SHA-256 hex of a key that stands nowhere here."""
    digests = table.mapping(key)
    for name, digest in digests.items():
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            table.problem(f"{key}.{name}", "is not a SHA-256 in hex", "64 digits 0-9 a-f, never the key itself")
    return digests


def _reports(reading: Reading, hub: HubSettings, facility: str) -> ReportServiceSettings:
    table = reading.table("reports")
    keys = _digests(table, "facility_keys")
    if table.flag("trust_local_key", False) and hub.key:
        keys.setdefault(facility, hashlib.sha256(hub.key.encode()).hexdigest())
    settings = ReportServiceSettings(
        host=table.text("host", "127.0.0.1"),
        port=table.integer("port", 8090, 1, 65535),
        database_url=_database(table, reading.var / "reports.sqlite3"),
        public_url=table.url("public_url", "", ("https", "http")).rstrip("/") or hub.public_url,
        link_days=table.integer("link_days", 30, 1, 365),
        facility_keys=keys,
        sms=_sms(reading),
        secret=reading.secret(table, "secret", reading.var / "reports.secret"),
    )
    table.finish()
    return settings


def _sms(reading: Reading) -> GatewaySettings:
    table = reading.table("sms")
    name = table.one_of("gateway", ("console", "http"), "console")
    own = table.raw("http")
    settings = GatewaySettings(
        name=name,
        table=own,
        header=table.text("header", "UPHLTH", r"[A-Za-z]{6}", "six letters, as registered with DLT"),
        quiet_from=table.integer("quiet_from", 21, 0, 23),
        quiet_to=table.integer("quiet_to", 7, 0, 23),
    )
    if name == "http":  # the gateway itself proves the rest of its table
        gateway = Table(LAB, "sms.http", own, reading.problems)
        gateway.url("url", None, ("https", "http"))
        gateway.one_of("method", ("POST", "GET", "PUT"), "POST")
        gateway.one_of("body", ("form", "json", "query"), "form")
        if not gateway.raw("fields"):
            gateway.problem("fields", "is empty", 'its field = our value: to = "{to}"')
    table.finish()
    return settings


# ---- analyzers.toml ---------------------------------------------------------------------------------------------


def _analyzers(reading: Reading, alarms: AlarmSettings) -> tuple[AnalyzerSettings, ...]:
    document = reading.toml(ANALYZERS)
    for name in document:
        if name != "analyzer":
            reading.problems.append(Problem(ANALYZERS, name, "is unknown", "[[analyzer]] tables and nothing else"))
    entries = document.get("analyzer", [])
    if not isinstance(entries, list):
        reading.problems.append(Problem(ANALYZERS, "analyzer", "is a single table", "[[analyzer]] with two brackets"))
        return ()
    found: list[AnalyzerSettings] = []
    for number, values in enumerate(entries, start=1):
        name = values.get("name", f"no. {number}") if isinstance(values, dict) else f"no. {number}"
        analyzer = _analyzer(reading, Table(ANALYZERS, f"analyzer {name}", values, reading.problems), alarms)
        if analyzer.name in {a.name for a in found}:
            reason = "this name is given twice"
            reading.problems.append(Problem(ANALYZERS, f"analyzer {name}.name", reason, "a name of its own"))
        found.append(analyzer)
    return tuple(found)


def _analyzer(reading: Reading, table: Table, alarms: AlarmSettings) -> AnalyzerSettings:
    line = table.text("line", None).replace("{var}", str(reading.var))
    if line and (wrong := bad_url(line, LINE_SCHEMES) or bad_folder(line) or bad_place(line)):
        table.problem("line", f'"{line}": {wrong}', "tcp-listen://0.0.0.0:9101, or serial:/dev/ttyUSB0?baud=9600")
    name = table.text("name", None, r"[a-z0-9_-]{1,40}", "small letters, digits, - and _")
    driver = table.one_of("driver", forms.driver_names(), None)
    site = read_site(table, driver)
    codes, tests = _codes(reading, table), frozenset(table.known_words("tests", reading.catalogue.tests))
    settings = AnalyzerSettings(
        name=name,
        driver=driver,
        title=table.text("title") or name,
        line=line,
        enabled=table.flag("enabled", True),
        charset=_charset(table),
        auto_release=table.flag("auto_release", False),
        codes=codes,
        tests=tests,
        silence=table.one_of("silence", SILENCE_WORDS, alarms.silence),
        clock_minutes=table.integer("clock_minutes", alarms.clock_minutes, 0, 1440),
        framing=site.framing,
        layout=site.layout,
        units=site.units,
        orders=read_orders(table, driver, line, named=bool(codes or tests)),
    )
    table.finish()
    return settings


def _charset(table: Table) -> str | None:
    name = table.text("charset", "")
    try:
        "".encode(name or "ascii")
    except LookupError:
        table.problem("charset", f'"{name}" is unknown', "utf-8, latin-1 or cp1252")
    return name or None


def _codes(reading: Reading, table: Table) -> dict[str, str]:
    codes = table.mapping("codes")
    for code, test in codes.items():
        for one in test.split("|"):
            if one not in reading.catalogue.tests:
                table.problem(f"codes.{code}", f'"{one}" is no test of {TESTS}', nearest(one, reading.catalogue.tests))
    return codes


def _check_ports(
    reading: Reading, web: WebSettings, reports: ReportServiceSettings, analyzers: tuple[AnalyzerSettings, ...]
) -> None:
    """No two of us may listen on one port of this computer."""
    taken: dict[int, str] = {web.port: "[web] of lab.toml"}
    if reports.port in taken:
        instead = "a port of its own"
        reading.problems.append(
            Problem(LAB, "reports.port", f"{reports.port} is taken by {taken[reports.port]}", instead)
        )
    taken.setdefault(reports.port, "[reports] of lab.toml")
    for analyzer in analyzers:
        port = listens_on(analyzer.line)
        if analyzer.enabled and port:
            if port in taken:
                reason = f"port {port} is taken by {taken[port]}"
                reading.problems.append(
                    Problem(ANALYZERS, f"analyzer {analyzer.name}.line", reason, "a port of its own")
                )
            taken.setdefault(port, f"analyzer {analyzer.name}")
    for name, other in taken_twice((a.name, a.line) for a in analyzers if a.enabled):
        reason = f"analyzer {other} takes these files already"
        reading.problems.append(Problem(ANALYZERS, f"analyzer {name}.line", reason, "a folder or pattern of its own"))


# ---- rules.toml -------------------------------------------------------------------------------------------------


def _rules(reading: Reading) -> RuleSettings:
    document = reading.toml(RULES)
    for name in document:
        if name != "rules" and name not in RULE_NAMES:
            reading.problems.append(Problem(RULES, name, "there is no such rule", nearest(name, RULE_NAMES)))
    table = Table(RULES, "rules", document.get("rules", {}), reading.problems)
    enabled = frozenset(table.known_words("enabled", RULE_NAMES, RULE_NAMES))
    for name in ALWAYS_ON:
        if name not in enabled:
            table.problem("enabled", f'"{name}" is missing: it may not be switched off', f'add "{name}"')
    table.finish()
    raw = {name: _parameters(reading, name, document.get(name, {})) for name in RULE_NAMES}
    return RuleSettings(enabled=enabled, version=_version(reading.dir), raw=raw)


def _parameters(reading: Reading, rule: str, values: object) -> dict[str, object]:
    """The numbers and words of one rule, with the defaults where the file says nothing."""
    table = Table(RULES, rule, values, reading.problems)
    tests = reading.catalogue.tests
    found: dict[str, object] = {}
    if rule == "identity":
        found["require_received"] = table.flag("require_received", True)
        found["female_only"] = table.known_words("female_only", tests)
    elif rule == "release_limits":
        found["without_window"] = table.one_of("without_window", ("reference", "none"), "reference")
        found["hold_abnormal_coded"] = table.flag("hold_abnormal_coded", True)
        answers = {answer for test in tests.values() for answer in test.allowed}
        found["repeat_coded"] = table.known_words("repeat_coded", answers)
    elif rule == "delta":
        found["lifelong"] = table.known_words("lifelong", [c for c, t in tests.items() if t.coded])
    elif rule == "analyzer_flags":
        found["ignore"] = table.words("ignore", ("", "N", "H", "L", "HH", "LL"))
    elif rule == "controls_invalid":
        found["said"] = table.words("said")
    table.finish()
    return found


def _version(config_dir: Path) -> str:
    """Short hash of everything a verdict depends on: the rules and the limits."""
    digest = hashlib.sha256()
    for name in (RULES, TESTS, CODED):
        path = config_dir / name
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:12]
