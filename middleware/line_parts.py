"""A line's URL in the parts that a person fills in, and back.

Turns `serial:/dev/ttyUSB0?baud=9600` into kind, path and settings. Law: pure; what a form does not show (`more`) is
kept as it is, so that a line that goes through it says the same. Source: the comments of config/analyzers.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from middleware.config_table import bad_url
from middleware.folder_place import bad_folder
from middleware.http_place import bad_place

HOST = re.compile(r"[A-Za-z0-9.:_-]+")  # a name or an address of either IP
KINDS = ("tcp-listen", "tcp", "serial", "socket", "rfc2217", "folder", "http-listen")
LISTENS = frozenset({"tcp-listen", "http-listen"})
DIALS = frozenset({"tcp", "socket", "rfc2217"})
# What a serial line may be set to: the sheets of analyzers name no others (analyzers' manuals; LIS01-A2 5.2.2-5.2.3).
BAUDS = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")
CHOICES = {
    "baud": BAUDS, "bits": ("8", "7"), "parity": ("N", "E", "O"), "stop": ("1", "2"),
    "flow": ("none", "xonxoff", "rtscts", "dsrdtr"),
}  # fmt: skip
USUAL = {"baud": "9600", "bits": "8", "parity": "N", "stop": "1", "flow": "none"}
OWN = {
    "serial": tuple(USUAL), "rfc2217": tuple(USUAL), "folder": ("pattern",), "http-listen": ("from",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """One line as a form has it. `settings`: those of its kind that the form shows; `more`: the others, as typed."""

    kind: str
    host: str = ""
    port: str = ""
    path: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    more: str = ""

    def get(self, key: str) -> str:
        """One of its settings, "" when it is not set."""
        return dict(self.settings).get(key, "")

    def url(self) -> str:
        """The line's URL. Settings that are the usual ones or empty are left out, but for the baud rate."""
        told = [(k, v) for k, v in self.settings if v and (k == "baud" or v != USUAL.get(k))]
        query = "&".join(part for part in (urlencode(told, safe="*?[],:"), self.more.strip("&? ")) if part)
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = quote(self.path, safe="/{}:\\ ~+,;=@") if self.kind in ("serial", "folder", "http-listen") else ""
        if self.kind in ("serial", "folder"):
            plain = f"{self.kind}:{where}"
        else:
            plain = f"{self.kind}://{host}:{self.port}{where}"
        return f"{plain}?{query}" if query else plain


def parts_of(url: str) -> Parts:
    """The parts of a line's URL; a URL that cannot be read comes as one that the form will complain about."""
    split = urlsplit(url, allow_fragments=False)
    given = parse_qsl(split.query, keep_blank_values=True)
    shown = OWN.get(split.scheme, ())
    try:
        port = str(split.port or "")
    except ValueError:
        port = ""
    files = split.scheme in ("serial", "folder")
    settings = {**(USUAL if "baud" in shown else {}), **{k: v for k, v in given if k in shown}}
    return Parts(
        kind=split.scheme if split.scheme in KINDS else KINDS[0],
        host="" if files else split.hostname or "",
        port=port,
        path=unquote(split.netloc + split.path if files else split.path),
        settings=tuple(settings.items()),
        more=urlencode([(k, v) for k, v in given if k not in shown], safe="*?[],:/"),
    )


def wrong_part(parts: Parts) -> str:
    """Which part is missing or makes no sense: port · host · path · more; "" when the line is one."""
    if parts.kind in LISTENS | DIALS:
        if not (parts.port.isascii() and parts.port.isdigit() and 0 < int(parts.port[:6]) < 65536):
            return "port"
        if not HOST.fullmatch(parts.host) or bad_url(Parts(parts.kind, parts.host, parts.port).url(), KINDS):
            return "host"
    elif not parts.path:
        return "path"
    url = parts.url()
    return "more" if bad_url(url, KINDS) or bad_folder(url) or bad_place(url) or _unknown_serial(parts) else ""


def _unknown_serial(parts: Parts) -> bool:
    """A cable knows only the settings of the form; a network box passes others on to its own driver."""
    return parts.kind == "serial" and bool(parts.more.strip("&? "))


def same_place(one: str, other: str) -> bool:
    """Do two lines use one and the same port, cable, address or folder?"""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, ...]:
    parts = parts_of(url)
    if parts.kind in LISTENS:
        return ("listen", parts.port)
    if parts.kind in DIALS:
        return ("dial", parts.host, parts.port)
    return (parts.kind, parts.path, parts.get("pattern") or "*" if parts.kind == "folder" else "")
