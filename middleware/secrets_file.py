"""Secrets kept in files of their own under `var`: made once, readable by this user alone.

Turns a path into the secret that stands there. Law: never in the configuration tree, mode 0600, never half-written:
three processes may start at the same moment and all read the same secret. (I/O)
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def read_or_make(path: Path) -> str:
    """The secret in this file; when there is none, a new one of 256 bits. Raises OSError when it cannot be kept."""
    if not path.exists():
        _make(path)
    return path.read_text(encoding="ascii").strip()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # mkstemp makes it 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())  # before the name is: no power cut leaves an empty secret
        path.hardlink_to(temporary)  # fails when another process was first: theirs is kept
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
