"""Faults of the wire: bytes in pieces, slowly, damaged, with noise around them, or not to the end.

Turns a line into a worse one. Law: nothing is added to the meaning of what passes; what does not arrive is not
acknowledged either. Source: the habits of real cables, serial-to-network boxes and switches.
"""

from __future__ import annotations

from simulators.fault_rig import Layer
from simulators.framing import is_block, is_frame

_QUIET = bytes(sorted(set(range(256)) - {0x02, 0x03, 0x04, 0x05, 0x06, 0x0B, 0x15, 0x17, 0x1C}))  # rules nothing


class Garbage(Layer):
    """Bytes that mean nothing, before and after what is said."""

    def write(self, data: bytes) -> None:
        """Up to eight on each side."""
        whole = len(data) == 1 or is_frame(data) or is_block(data)
        if not whole or not self.rig.strikes():
            self.line.write(data)
            return
        before, after = (bytes(self.rig.random.choices(_QUIET, k=self.rig.random.randrange(1, 9))) for _ in "ba")
        self.line.write(before + data + after)


class Noise(Layer):
    """One bit of a frame arrives as the other."""

    def write(self, data: bytes) -> None:
        """Anywhere in the frame."""
        if is_frame(data) and self.rig.strikes():
            at = self.rig.random.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << self.rig.random.randrange(8))]) + data[at + 1 :]
        self.line.write(data)


class Split(Layer):
    """Bytes arrive in random pieces."""

    def write(self, data: bytes) -> None:
        """Piece by piece, at least one byte each."""
        if len(data) < 2 or not self.rig.strikes():
            self.line.write(data)
            return
        count = min(len(data) - 1, self.rig.random.randrange(1, int(self.rig.number("pieces")) + 1))
        cuts = sorted(self.rig.random.sample(range(1, len(data)), count))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self.line.write(data[start:end])
            self.rig.wait(self.rig.number("pause"))


class Slow(Layer):
    """Bytes arrive at the pace of a slow serial line."""

    def write(self, data: bytes) -> None:
        """Ten bits a byte."""
        if not self.rig.strikes():
            self.line.write(data)
            return
        baud = self.rig.number("baud")
        chunk = max(1, round(baud / 300))
        for at in range(0, len(data), chunk):
            self.line.write(data[at : at + chunk])
            self.rig.wait(chunk * 10 / baud)


class Silence(Layer):
    """Half of a frame or block, then nothing for `seconds`, then the rest."""

    def write(self, data: bytes) -> None:
        """With a pause in the middle."""
        if not (is_frame(data) or is_block(data)) or not self.rig.strikes():
            self.line.write(data)
            return
        at = self.rig.random.randrange(1, len(data))
        self.line.write(data[:at])
        self.rig.wait(self.rig.number("seconds"))
        self.line.write(data[at:])


class Disconnect(Layer):
    """The cable is pulled in the middle of a frame or block."""

    def write(self, data: bytes) -> None:
        """Half, and the end."""
        if not (is_frame(data) or is_block(data)) or not self.rig.strikes():
            self.line.write(data)
            return
        self.line.write(data[: self.rig.random.randrange(1, len(data))])
        self.line.close()
        raise ConnectionError("pulled in the middle of a frame")
