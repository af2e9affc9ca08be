"""What every part of the report service is handed: database, settings, sentences, gateway, a clock.

Turns ReportServiceSettings into a Hub. Law: made once per process, passed in, never a global.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from middleware.settings import ReportServiceSettings
from server.reports.database import Database, connect
from server.reports.sms import Gateway, open_gateway
from server.reports.texts import Templates
from server.strings import Strings

INDIA = ZoneInfo("Asia/Kolkata")
_AT_ONCE = 4  # argon2 takes 64 MiB each time: more at once would fill a small server's memory
# A right PIN costs nothing of these. One address may be a whole village behind one operator's gateway: keep it wide.
RATES = {"token": "20/10 minutes", "address": "300/10 minutes", "unknown": "120/10 minutes", "all": "3000/minute"}


class BusyError(Exception):
    """Too many people at once; try again in a moment."""


def _now() -> datetime:
    return datetime.now(UTC)


class Limiter:
    """Counts tries in this process. What must hold over all replicas (wrong PINs) is counted in the database."""

    def __init__(self) -> None:
        self._rates: dict[str, RateLimitItem] = {name: parse(text) for name, text in RATES.items()}
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def hit(self, rate: str, key: str = "") -> bool:
        """Count one; False when it is one too many."""
        return self._limiter.hit(self._rates[rate], key)

    def spent(self, rate: str, key: str = "") -> bool:
        """True when nothing is left; counts nothing."""
        return not self._limiter.test(self._rates[rate], key)


class Pins:
    """Checks PINs: always one argon2 run, also when there is nothing to check, so that time tells nothing."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    @cached_property
    def _dummy(self) -> str:
        return self._hasher.hash("no PIN is like this")

    def right(self, pin_hash: str | None, pin: str) -> bool:
        """True when the PIN is the one behind the hash. Takes ~0.1 s of one core; BusyError when too many wait."""
        if not self._places.acquire(timeout=5):
            raise BusyError
        try:
            return self._hasher.verify(pin_hash or self._dummy, pin) and pin_hash is not None
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._places.release()


@dataclass(frozen=True)
class Hub:
    """One report service, open for work."""

    settings: ReportServiceSettings
    db: Database
    strings: Strings
    templates: Templates
    gateway: Gateway
    now: Callable[[], datetime] = _now
    limiter: Limiter = field(default_factory=Limiter)
    pins: Pins = field(default_factory=Pins)
    ending: threading.Event = field(default_factory=threading.Event)  # set when the process is told to stop

    @property
    def https(self) -> bool:
        """True when patients reach us by https: cookies are Secure then, and HSTS is sent."""
        return self.settings.public_url.startswith("https://")

    def keyed(self, purpose: str, text: str) -> str:
        """A keyed hash (HMAC-SHA-256 hex) of a text for one purpose."""
        return _keyed(self.settings.secret, purpose, text)

    @property
    def receipt_secret(self) -> str:
        """The last part of /sms/dlr/…, where delivery receipts come in."""
        return receipt_secret(self.settings)


def receipt_secret(settings: ReportServiceSettings) -> str:
    """Named in [sms.http] dlr_secret, else made from the service's own secret."""
    named = settings.sms.table.get("dlr_secret")
    return str(named) if named else _keyed(settings.secret, "dlr", settings.sms.name)[:32]


def receipt_url(settings: ReportServiceSettings) -> str:
    """Where a gateway posts its delivery receipts."""
    return f"{settings.public_url.rstrip('/')}/sms/dlr/{receipt_secret(settings)}"


def _keyed(secret: str, purpose: str, text: str) -> str:
    return hmac.new(secret.encode(), f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def open_hub(
    settings: ReportServiceSettings,
    strings: Strings,
    config_dir: Path,
    *,
    now: Callable[[], datetime] = _now,
    gateway: Gateway | None = None,
) -> Hub:
    """The report service for these settings. The database must have been upgraded (`server.reports.migrate`)."""
    sms = settings.sms
    return Hub(
        settings=settings,
        db=connect(settings.database_url),
        strings=strings,
        templates=Templates.load(config_dir),
        gateway=gateway or open_gateway(sms.name, sms.table, sms.header, receipt_url(settings)),
        now=now,
    )
