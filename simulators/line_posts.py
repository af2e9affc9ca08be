"""Carries a simulator's messages where there is no conversation: an HTTP post, a file in a folder.

Turns each write into one post or one file. Law: a post that is not taken (any answer but 2xx) is a broken line, so that
the message is repeated; a file appears whole, under its name at once. Source: the forms of SmartLyte and HumaLyte
analyzers, the folders of analyzers whose own computer writes files.
"""

from __future__ import annotations

import http.client
import itertools
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult

SECONDS = 15.0


class Post:
    """An analyzer that posts a form."""

    def __init__(self, where: SplitResult) -> None:
        self._host, self._port, self._path = where.hostname or "", where.port or 80, where.path or "/"

    def open(self) -> Post:
        """Nothing is opened before there is something to say."""
        return self

    def read(self, seconds: float) -> bytes:
        """Nothing comes back."""
        time.sleep(seconds)
        return b""

    def write(self, data: bytes) -> None:
        """Post it. ConnectionError when it was not taken."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
        try:
            connection.request("POST", self._path, data, {"Content-Type": "application/x-www-form-urlencoded"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise ConnectionError(f"the form was answered {status}")

    def close(self) -> None:
        """Nothing stays open."""


class Folder:
    """An analyzer whose computer leaves each message as a file."""

    def __init__(self, path: Path) -> None:
        self._path, self._numbers = path, itertools.count(1)

    def open(self) -> Folder:
        """The folder, made where it is not there. ConnectionError when it cannot be."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConnectionError(str(error)) from error
        return self

    def read(self, seconds: float) -> bytes:
        """Nobody answers a file."""
        time.sleep(seconds)
        return b""

    def write(self, data: bytes) -> None:
        """One file: written beside, then given its name."""
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{next(self._numbers):04d}"
        try:
            part = self._path / f".{name}.part"
            part.write_bytes(data)
            part.rename(self._path / f"{name}.txt")
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Nothing stays open."""
