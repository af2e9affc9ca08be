"""Tries a line before it is used: can this computer listen there, dial there, open that port, write in that folder?

Turns a line's URL into one sentence that says what to do. Law: nothing is sent and nothing that an analyzer sends is
read: a line of which the middleware makes use is never touched. Source: errno names of POSIX; pyserial's exceptions.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from middleware.folder_place import place
from middleware.lab import Lab
from middleware.line_parts import DIALS, LISTENS, parts_of, same_place
from middleware.settings import AnalyzerSettings

PATIENCE = 4.0  # seconds for an answer of another computer


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: `key` is the sentence (strings, after `line.`), with its values."""

    good: bool
    key: str
    values: Mapping[str, str] = field(default_factory=dict)


def held_by(lab: Lab, line: str) -> AnalyzerSettings | None:
    """The analyzer that is switched on and has this line: the middleware holds it."""
    return next((a for a in lab.settings.analyzers if a.enabled and same_place(a.line, line)), None)


def try_line(lab: Lab, line: str) -> Tried:
    """Try it, for at most a few seconds. `line` as in config/analyzers.toml, with {var}. It must be a right URL."""
    url = line.replace("{var}", str(lab.settings.var))
    holder = held_by(lab, url)
    if holder is not None:
        return Tried(False, "held", {"analyzer": holder.title})
    kind = urlsplit(url).scheme
    if kind in LISTENS:
        return _listen(url)
    if kind in DIALS:
        return _dial(url)
    return _open(url) if kind == "serial" else _folder(url)


def _listen(url: str) -> Tried:
    parts = parts_of(url)
    told = {"host": parts.host, "port": parts.port}
    family = socket.AF_INET6 if ":" in parts.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the middleware listens
        try:
            bound.bind((parts.host, int(parts.port)))
            bound.listen(1)
        except OSError as wrong:
            return Tried(False, _why_not_listen(wrong), {**told, "error": _said(wrong)})
    return Tried(True, "listens", told)


def _why_not_listen(wrong: OSError) -> str:
    keys = {
        errno.EADDRINUSE: "busy_port", errno.EACCES: "low_port", errno.EPERM: "low_port",
        errno.EADDRNOTAVAIL: "not_ours",
    }  # fmt: skip
    return "not_ours" if isinstance(wrong, socket.gaierror) else keys.get(wrong.errno or 0, "failed")


def _dial(url: str) -> Tried:
    parts = parts_of(url)
    told = {"host": parts.host, "port": parts.port}
    try:
        socket.create_connection((parts.host, int(parts.port)), timeout=PATIENCE).close()
    except socket.gaierror:
        return Tried(False, "no_name", told)
    except ConnectionRefusedError:
        return Tried(False, "not_listening", told)
    except OSError as wrong:  # a silent address, a cable that is out: the same to the person
        unreachable = isinstance(wrong, TimeoutError) or wrong.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
        return Tried(False, "no_answer" if unreachable else "failed", {**told, "error": _said(wrong)})
    return Tried(True, "answers", told)


def _open(url: str) -> Tried:
    parts = parts_of(url)
    told = {"path": parts.path}
    try:
        bits, stop = int(parts.get("bits")), float(parts.get("stop"))
        port = serial.Serial(
            parts.path, int(parts.get("baud")), bits, parts.get("parity"), stop, timeout=0, exclusive=True
        )
    except (OSError, ValueError) as wrong:
        return _not_opened(wrong, told)
    port.close()
    return Tried(True, "opens", {**told, "baud": parts.get("baud")})


def _not_opened(wrong: Exception, told: dict[str, str]) -> Tried:
    number = getattr(wrong, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = ", ".join(sorted(port.device for port in list_ports.comports()))
        return Tried(False, "no_port", {**told, "there": there}) if there else Tried(False, "no_ports", told)
    if number in (errno.EACCES, errno.EPERM):
        return Tried(False, "port_right", told)
    busy = number in (errno.EBUSY, errno.EAGAIN) or "exclusive" in str(wrong).lower()
    return Tried(False, "busy_cable" if busy else "failed", {**told, "error": _said(wrong)})


def _folder(url: str) -> Tried:
    here = place(url)
    told = {"path": str(here.folder), "pattern": here.pattern}
    if not here.folder.is_dir():
        return Tried(False, "no_folder", told)
    if not os.access(here.folder, os.R_OK | os.W_OK | os.X_OK):
        return Tried(False, "folder_right", told)
    return Tried(True, "watches", {**told, "n": str(_waiting(here.folder, here.pattern))})


def _waiting(folder: Path, pattern: str) -> int:
    """How many files lie there that would be taken, whatever the capitals of their names."""
    return sum(1 for file in folder.iterdir() if file.is_file() and Path(file.name.lower()).match(pattern.lower()))


def _said(wrong: Exception) -> str:
    return getattr(wrong, "strerror", None) or type(wrong).__name__
