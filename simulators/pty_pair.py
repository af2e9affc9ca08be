"""Makes a pseudo-terminal pair that stands in for a serial cable: the lab opens one end, the simulator holds the other.

Turns a path into a symlink to the lab's end. Law: both ends raw, nothing echoed or translated; while the lab has not
opened its end the cable is pulled (EIO, POLLHUP) and nothing is written into the void.
Source: pty(7), tty_ioctl(4).
"""

from __future__ import annotations

import errno
import os
import pty
import select
import tty
from pathlib import Path
from types import TracebackType

LAST_WORDS = 0.5  # seconds, at most, for the lab to read what was written last and to hang up


class PtyPair:
    """The simulator's end. `path` is a symlink to the end that the lab opens as `serial:PATH`."""

    def __init__(self, path: Path) -> None:
        """Make the pair and the symlink; an old symlink is replaced, anything else at `path` raises FileExistsError."""
        self.master, slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        os.close(slave)  # so that we see whether the lab has it open
        self.path = path
        self._link()

    def _link(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_symlink():
            self.path.unlink()
        self.path.symlink_to(self.name)

    @property
    def connected(self) -> bool:
        """True while somebody has the lab's end open."""
        return not self._poll(select.POLLOUT, 0) & select.POLLHUP

    def _poll(self, what: int, seconds: float) -> int:
        poll = select.poll()
        poll.register(self.master, what)
        return sum(event for _, event in poll.poll(int(seconds * 1000)))

    def read(self, seconds: float) -> bytes:
        """Bytes within `seconds`, or b"". Raises ConnectionError while the lab's end is closed."""
        event = self._poll(select.POLLIN, seconds)
        if event & select.POLLIN:
            try:
                return os.read(self.master, 4096)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                event |= select.POLLHUP
        if event & select.POLLHUP:
            raise ConnectionError("the lab's end of the line is closed")
        return b""

    def write(self, data: bytes) -> None:
        """Write all of it. Raises ConnectionError when the lab's end is closed."""
        while data:
            event = self._poll(select.POLLOUT, 1.0)
            if event & select.POLLHUP:
                raise ConnectionError("the lab's end of the line is closed")
            if event & select.POLLOUT:
                data = data[os.write(self.master, data) :]

    def close(self) -> None:
        """End the pair and take the symlink away if it is still ours; the lab may read the last words."""
        self._poll(0, LAST_WORDS)  # until the lab hangs up: closing would throw away what it has not read yet
        os.close(self.master)
        if self.path.is_symlink() and str(self.path.readlink()) == self.name:
            self.path.unlink()

    def __enter__(self) -> PtyPair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
