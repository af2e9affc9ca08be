"""Is an SQLite file whole? Asked at each start, before anything is written to it.

Turns the path of a store into nothing, or into Trouble that says which file, what is wrong and how to restore it. Law:
a file that is not proven whole is not touched; a damaged one is never used, never mended, never replaced by a new one.
Source: SQLite's file format (sqlite.org/fileformat2.html 1.3 the header, 4.1 the log), PRAGMA quick_check.
"""

from __future__ import annotations

import fcntl
import logging
import secrets
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from middleware.settings import Settings
from middleware.trouble import Trouble

log = logging.getLogger("labmitra.store")

# PRAGMA quick_check read 1 GB of journal in 8 s from memory and in 48 s from a slow disk: too long while analyzers
# wait for a line that comes back. So each start takes so many seconds for it and no more, which is the whole of a
# file up to some 100 MB; beyond that it has proven the header, the length, the log, the newest page of each table and
# as much as it could read. `labmitra check --deep` reads everything, whenever there is time.
SECONDS = 2.0
_BUSY = 5.0  # seconds to wait for another program's lock
_STEP = 10_000  # instructions of SQLite between two looks at the clock
_MAGIC = b"SQLite format 3\0"
_LOG_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_ID = slice(68, 72)  # the header's application id, which we use as this one file's own number
COPY = 0x4C4D4350  # instead: a backup's copy, which has no log before a service has taken it into use

JOURNAL, LAB, REPORTS = "journal", "lab database", "report database"
_WITHOUT = {
    JOURNAL: "then a new journal begins at the start. Lost by that: messages that were acknowledged and not yet "
    "processed, the record of the lines, and the replay of old messages. Results in the lab database stay.",
    LAB: "then `labmitra db upgrade` makes an empty laboratory. Lost by that: patients, orders, results, reports and "
    "the audit trail. What came since a backup stands in the journal and can be replayed on the Messages page.",
    REPORTS: "then an empty one is made at the start. Lost by that: the links that patients have, and which reports "
    "they opened. The laboratories still hold every report and issue it again.",
}


def must_be_whole(path: Path, kind: str) -> None:
    """Return when the file is whole, as far as SECONDS can tell, or not there. Trouble when it is damaged."""
    with _alone(path):
        if wrong := damage(path):
            raise Trouble(how_to_restore(path, kind, wrong))
        if path.exists():
            _sign(path)
            if _own(path) == COPY:  # a log that is begun now would be taken for another file's
                raise Trouble(f"{path} was put back from a backup, and another program holds it: end that first.")


def url_must_be_whole(url: str, kind: str) -> None:
    """`must_be_whole()` of a database URL; PostgreSQL looks after itself."""
    if url.startswith("sqlite:///"):
        must_be_whole(Path(url.removeprefix("sqlite:///")), kind)


def deep(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Each SQLite file read from end to end: a sentence, and whether it is well. Takes its time; writes nothing."""
    found = [(settings.journal, JOURNAL)]
    for url, kind in ((settings.database_url, LAB), (settings.reports.database_url, REPORTS)):
        if url.startswith("sqlite:///"):
            found.append((Path(url.removeprefix("sqlite:///")), kind))
    for path, kind in found:
        wrong = damage(path, seconds=None)
        size = path.stat().st_size // 1_000_000 if path.exists() else 0
        yield how_to_restore(path, kind, wrong) if wrong else f"{path}: whole, {size} MB", not wrong


def how_to_restore(path: Path, kind: str, wrong: str) -> str:
    """What is wrong with which file, and what to do, step by step."""
    return (
        f"The {kind} {path} is damaged: {wrong}. Nothing was started or changed.\n"
        f"  1. Stop all services.\n"
        f"  2. Move {path.name}, {path.name}-wal and {path.name}-shm (those that are there) to another folder. Keep "
        f"them: an engineer may still read rows out of them (sqlite3 {path.name} .recover).\n"
        f"  3. Copy {path.name} from the newest backup (labmitra backup FOLDER makes them) to {path.parent}, that one "
        f"file alone.\n"
        f"  4. Start the services.\n"
        f"Without a backup leave out step 3; {_WITHOUT[kind]}"
    )


# ---- what may be wrong -------------------------------------------------------------------------------------------


def damage(path: Path, seconds: float | None = SECONDS) -> str:
    """What is wrong with this file, "" when nothing is found in so many seconds (None: when all of it was read)."""
    try:
        wrong = _from_outside(path)
        return wrong if wrong is not None else _from_inside(path, seconds)
    except sqlite3.OperationalError as busy:
        if _not_damage(busy):  # locked, or not ours to read: whoever opens it says so better
            return ""
        return str(busy)
    except sqlite3.DatabaseError as broken:
        return str(broken)


def _from_outside(path: Path) -> str | None:
    """What its bytes say before SQLite reads them; None: go on."""
    beside, begin = path.with_name(f"{path.name}-wal"), b""
    with suppress(FileNotFoundError):
        with beside.open("rb") as file:
            begin = file.read(32)
        # All zero: the power went before anything in it was committed.
        if len(begin) == 32 and begin.strip(b"\0") and begin[:4] not in _LOG_MAGIC:
            return f"its log {beside.name} is overwritten"
        if len(begin) == 32 and not path.exists():
            return f"it is gone, and its log {beside.name} is still there"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return "it is empty (0 bytes)"
    if not header.startswith(_MAGIC) or len(header) < 100:
        return "its first bytes are not those of a database"
    return None if begin else _cut_off(header, path.stat().st_size)


def _from_inside(path: Path, seconds: float | None) -> str:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY)) as conn:
        return _log_of_another(conn, path) or _edges(conn) or _structure(conn, path, seconds)


def _log_of_another(conn: sqlite3.Connection, path: Path) -> str:
    """SQLite takes any log that lies beside a file for that file's own, and replays it."""
    own, beside = _own(path), path.with_name(f"{path.name}-wal")
    (replayed,) = conn.execute("PRAGMA application_id").fetchone()
    log_of_a_copy = own == COPY and beside.exists() and beside.stat().st_size > 0
    other = log_of_a_copy or (own and own != replayed)
    return f"the log {beside.name} beside it is that of another file" if other else ""


def _own(path: Path) -> int:
    """The number that stands in the file itself, whatever its log says; 0: none."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(100)[_ID])


def _cut_off(header: bytes, there: int) -> str | None:
    """Only without a log, in which the newest pages may stand."""
    (size,) = struct.unpack(">H", header[16:18])
    changed, pages, counted = struct.unpack(">II60xI", header[24:96])
    whole = pages * (65_536 if size == 1 else size)
    return f"it is cut off, {there} bytes are left of {whole}" if changed == counted and there < whole else None


def _edges(conn: sqlite3.Connection) -> str:
    """The newest page of each table and index: those that were being written when the power went."""
    for name, rowid in conn.execute(
        "SELECT name, sql NOT LIKE '%WITHOUT ROWID%' FROM sqlite_schema WHERE type='table'"
    ):
        if rowid:
            conn.execute(f'SELECT max(rowid) FROM "{name}"').fetchone()
    return ""


def _structure(conn: sqlite3.Connection, path: Path, seconds: float | None) -> str:
    check = "PRAGMA integrity_check(1)"
    if seconds is not None:
        end, check = time.monotonic() + seconds, "PRAGMA quick_check(1)"
        conn.set_progress_handler(lambda: time.monotonic() > end, _STEP)
    try:
        (said,) = conn.execute(check).fetchone()
    except sqlite3.OperationalError as over:
        if "interrupted" not in str(over):
            raise
        log.info("%s was read in part; all of it: labmitra check --deep", path)
        return ""
    return "" if said == "ok" else " ".join(str(said).split())


def _not_damage(busy: sqlite3.OperationalError) -> bool:
    return busy.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )  # fmt: skip


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """A copy that was put back is taken into use by one service, while the others wait."""
    if not path.exists() or _own(path) != COPY:
        yield
        return
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sign(path: Path) -> None:
    """Give the file its own number, once, so that another file's log can be told from its own.

    Of those that start together one gives it: a second number in the log would make that log another file's. A copy
    gets its number without a log: one that a kill left there would be taken for another file's, too.
    """
    if (own := _own(path)) not in (0, COPY):
        return
    with suppress(sqlite3.OperationalError), closing(_connect(path, _BUSY if own == COPY else 1)) as conn:
        if own == COPY:
            conn.execute("PRAGMA journal_mode = DELETE")  # the service sets it back
        conn.execute("BEGIN IMMEDIATE")
        if conn.execute("PRAGMA application_id").fetchone()[0] in (0, COPY):
            conn.execute(f"PRAGMA application_id = {secrets.randbits(31) or 1}")
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None)
