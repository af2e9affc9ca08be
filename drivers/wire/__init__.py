"""The languages of analyzers: bytes ⇄ frames, records, segments. Sans-IO, both roles, standard library only.

Law: any bytes either parse or raise WireError, never anything else.
"""


class WireError(Exception):
    """The analyzer broke a rule of the line: refuse, journal, log once until it recovers."""
