"""The engineer's tools: draft a driver, say who speaks on a line, keep a capture, try a change on stored messages.

Law: tools advise and draft; nothing here chooses a driver for patient data, files a result or writes the lab database.
"""


class Misuse(ValueError):
    """What was asked of a tool makes no sense; the text says why and what to write instead."""
