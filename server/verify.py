"""Turns a Report into its fingerprint and the address of the page that proves it genuine.

Law: pure, and the same bytes on both sides: the lab prints the address, the report service checks it. No address
here opens a report. A field added later with an empty default does not change the fingerprint of older reports.
Source: ISO 15189:2022 7.4.1.6 m (one identification that ties the pages together); the layout is our own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from middleware.model import Report

SHORT = 16  # hex digits of the fingerprint that stand in the QR: 64 bits, not guessable


def digest(report: Report) -> str:
    """SHA-256 hex of what the report says; `verify_url` itself is left out, times are compared in UTC."""
    said = {name: value for name, value in _plain(report).items() if name != "verify_url"}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify_url(public_url: str, report: Report) -> str:
    """The address behind the QR of the PDF: number, version and the first 16 hex digits of the fingerprint."""
    number = quote(report.report_no, safe="")
    return f"{public_url.rstrip('/')}/verify/{number}?v={report.version}&h={digest(report)[:SHORT]}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if not _is_default(value, f)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _is_default(value: Any, field: Any) -> bool:
    return field.default is not MISSING and bool(getattr(value, field.name) == field.default)
