"""Keeps links, secrets and numbers out of the logs.

Turns an access-log record into one without the token of its path. Law: no token, no query, no phone number in any log.
"""

from __future__ import annotations

import logging

_OPEN_PATHS = ("/api/", "/healthz", "/robots.txt", "/style.css")


def masked_path(path: str) -> str:
    """The path as a log may keep it: `/…`, `/…/pdf`, `/verify/…`, `/sms/dlr/…`; never a query."""
    plain = path.split("?", 1)[0]
    if plain == "/" or plain.startswith(_OPEN_PATHS):
        return plain
    for prefix in ("/verify/", "/sms/dlr/"):
        if plain.startswith(prefix):
            return f"{prefix}…"
    _, _, rest = plain[1:].partition("/")
    return "/…/" + rest if rest in ("pdf", "not-mine", "stop-sms") else "/…"


class MaskTokens(logging.Filter):
    """Rewrites uvicorn's access records: (client, method, path, version, status)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the path; every record is kept."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, masked_path(str(path)), version, status)
        return True


def mask_logs() -> None:
    """Once per process: mask the access log; silence the HTTP client, whose lines name the gateway's whole address."""
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(f, MaskTokens) for f in access.filters):
        access.addFilter(MaskTokens())
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
