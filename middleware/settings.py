"""Turns config/*.toml, config/*.csv and the environment into one frozen Settings; refuses to start on nonsense.

Law: with `settings_loader` the only reader of either. Every mistake names file, key, reason and what to write instead.
Source: the commented files in config/ are the reference of every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from middleware.alarm_settings import AlarmSettings
from middleware.model import CatalogueTest
from middleware.problems import ConfigError, Problem

__all__ = [
    "AlarmSettings",
    "AnalyzerSettings",
    "ConfigError",
    "Facility",
    "GatewaySettings",
    "HubSettings",
    "LabSettings",
    "Problem",
    "ReportServiceSettings",
    "RuleSettings",
    "Settings",
    "WebSettings",
    "load",
]


@dataclass(frozen=True, slots=True)
class Facility:
    """A unit of config/facilities.csv."""

    code: str
    name_en: str
    name_hi: str
    type: str
    area: str


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """One connected unit of config/analyzers.toml. `line` is a URL:

    tcp-listen://HOST:PORT (analyzer connects to us) · tcp://HOST:PORT (we dial) · serial:PATH?baud=9600 ·
    rfc2217://HOST:PORT · socket://HOST:PORT (the last two through pyserial) · folder:PATH?pattern=*.txt (files) ·
    http-listen://HOST:PORT/path (the analyzer posts).
    """

    name: str
    driver: str
    title: str  # what the pages call it: "Sysmex XN-550, room 2"
    line: str
    enabled: bool = True
    charset: str | None = None
    auto_release: bool = False
    codes: Mapping[str, str] = field(default_factory=dict)  # site-assigned code → catalogue code
    tests: frozenset[str] = frozenset()
    silence: str = "normal"  # off, low, normal, high; where the table says nothing: as [alarms] of lab.toml says
    clock_minutes: int = 5  # its clock may be so far from ours; 0: never an alarm
    framing: str = ""  # one of its driver's framings; "": the driver's usual one
    layout: Mapping[str, int] = field(default_factory=dict)  # column → width, as set on the analyzer
    units: Mapping[str, str] = field(default_factory=dict)  # code → its unit, where the analyzer sends none
    orders: str = "answer"  # what it is told: answer (its questions), push (what it did not ask for, too), none


@dataclass(frozen=True, slots=True)
class LabSettings:
    """[lab] of lab.toml: who we are."""

    facility: Facility
    site: int  # 100-999, first three digits of every sample id; one per edge server
    address: str
    phone: str
    licence: str
    state_line: str  # "Department of Medical, Health & Family Welfare, Uttar Pradesh"
    timezone: ZoneInfo
    language: str  # of pages before log in: en or hi


@dataclass(frozen=True, slots=True)
class WebSettings:
    """[web] of lab.toml: the technician pages. `api_keys`: hospital system's name → SHA-256 hex of its key.

    `metrics_key`: SHA-256 hex of the key that /metrics asks for; "": it asks for none.
    """

    host: str
    port: int
    session_minutes: int
    secure_cookies: bool
    api_keys: Mapping[str, str] = field(default_factory=dict)
    metrics_key: str = ""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """[hub] of lab.toml: where released reports go. `key` comes from the environment or a file outside the tree."""

    url: str  # of the report service's API, "" when there is none yet: the outbox waits
    public_url: str  # what stands on slips: https://r.example.gov.in
    key: str
    retry_seconds: int


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """rules.toml: which rules run and with what numbers. `raw` is the whole table, for rules that need more."""

    enabled: frozenset[str]
    version: str  # short hash of the file, kept with every result
    raw: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """[sms] of lab.toml, for the report service: a gateway by name and its own table, secrets from the environment."""

    name: str  # console · http
    table: Mapping[str, object]
    header: str  # sender id, "UPHLTH"
    quiet_from: int  # hour of the day, local; no SMS to patients from here
    quiet_to: int


@dataclass(frozen=True, slots=True)
class ReportServiceSettings:
    """[reports] of lab.toml: the report service. `facility_keys`: facility code → SHA-256 hex of its key."""

    host: str
    port: int
    database_url: str
    public_url: str
    link_days: int
    facility_keys: Mapping[str, str]
    sms: GatewaySettings
    secret: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the processes may know. `var` is where data lives; `config` where the files came from."""

    config: Path
    var: Path
    lab: LabSettings
    web: WebSettings
    hub: HubSettings
    database_url: str
    journal: Path
    secret: str  # signs sessions; made at first start in var/secret when the environment names none
    analyzers: tuple[AnalyzerSettings, ...]
    rules: RuleSettings
    catalogue: Mapping[str, CatalogueTest]
    panels: Mapping[str, tuple[str, ...]]
    facilities: tuple[Facility, ...]
    reports: ReportServiceSettings
    panel_names: Mapping[str, tuple[str, str]] = field(
        default_factory=dict
    )  # code → English, Hindi; also report groups
    journal_days: int = 400  # processed conversations of the journal are kept so long; 0: for ever
    alarms: AlarmSettings = field(default_factory=AlarmSettings)


def load(config_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Read all files of a config directory and the environment's LABMITRA_<TABLE>__<KEY>; make missing secrets.

    Raises ConfigError with every Problem found; nothing of a half-right configuration is used.
    """
    from middleware.settings_loader import read_settings  # it needs the shapes above

    settings, problems = read_settings(config_dir, environ, make_secrets=True)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings
