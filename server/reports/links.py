"""Turns randomness into links, and what a person typed back into the token it means.

Law: 80 random bits in 16 characters of Crockford's base32 (no I, L, O, U); only SHA-256 is stored; nothing in a token
comes from the report, the phone or the clock. A report that may never go by link gets none, whatever anybody asks.
Source: domain 5.2; HIV and AIDS Act 2017 s. 8.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.model import LinkPolicy

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16
_CONFUSED = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


class NoLinkError(Exception):
    """This report may not be opened by link."""


@dataclass(frozen=True, slots=True)
class Link:
    """A fresh link: the clear token exists only here and in the SMS; `sha256` is what is stored."""

    token: str
    sha256: str
    expires_at: datetime


def issue(policy: LinkPolicy, now: datetime, days: int) -> Link:
    """A fresh link that lives `days` days. NoLinkError unless the report's policy is YES."""
    if policy is not LinkPolicy.YES:
        raise NoLinkError(policy.value)
    token = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return Link(token, token_hash(token), now + timedelta(days=days))


def normalise(typed: str) -> str | None:
    """The token a person meant: case, hyphens and look-alikes forgiven; None when it cannot be one."""
    token = typed.upper().translate(_CONFUSED)
    return token if typed.isascii() and len(token) == LENGTH and all(c in ALPHABET for c in token) else None


def token_hash(token: str) -> str:
    """SHA-256 hex of a normalised token: what the lab hands over for a slip and what is looked up here."""
    return hashlib.sha256(token.encode()).hexdigest()


def url(public_url: str, token: str) -> str:
    """The address of a token: it fits one English SMS."""
    return f"{public_url.rstrip('/')}/{token}"
