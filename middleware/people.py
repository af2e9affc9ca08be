"""Who may do what: roles, rights, and the one table that joins them.

Turns nothing into nothing: frozen values. Law: each role's rights stand in RIGHTS and nowhere else; the users page
shows this table, every action asks it, and the tests try it both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NotAllowed(Exception):
    """The person's role does not have the right for this action."""


class Refused(Exception):
    """The action does not fit the state of things; the text says what to do instead, in words a technician uses."""


class Role(StrEnum):
    RECEPTION = "reception"
    TECHNICIAN = "technician"
    PATHOLOGIST = "pathologist"
    ENGINEER = "engineer"
    ADMIN = "admin"


class Right(StrEnum):
    """One right per thing a person does. The value is what the users page shows."""

    REGISTER = "register patients and orders"
    PRINT_SLIP = "print slips and labels"
    SEARCH = "search patients"
    COLLECT = "collect and receive samples"
    REJECT_SAMPLE = "reject samples"
    SEE_RESULTS = "see results"
    ENTER = "type results by hand"
    RELEASE = "release results"
    RELEASE_BLOCKED = "release results that a rule blocks"
    AMEND = "amend released results"
    CALL = "record critical calls"
    LINK = "link unmatched results"
    QC_SEE = "see controls"
    QC_EDIT = "set control targets, exclude points"
    REPORTS = "see and print reports"
    RESEND = "send a report again, new PIN, new number"
    WITHDRAW = "withdraw a report"
    ANALYZERS_SEE = "see analyzers"
    MESSAGES = "see and replay messages"
    SET_UP = "add and set up analyzers, map codes"
    USERS = "manage users"
    AUDIT = "read the audit trail"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.RECEPTION: frozenset(
        {Right.REGISTER, Right.PRINT_SLIP, Right.SEARCH, Right.COLLECT, Right.REPORTS, Right.RESEND}
    ),
    Role.TECHNICIAN: frozenset(
        {
            Right.REGISTER, Right.PRINT_SLIP, Right.SEARCH, Right.COLLECT, Right.REJECT_SAMPLE, Right.SEE_RESULTS,
            Right.ENTER, Right.RELEASE, Right.CALL, Right.LINK, Right.QC_SEE, Right.REPORTS, Right.RESEND,
            Right.ANALYZERS_SEE, Right.AMEND,
        }
    ),
    Role.PATHOLOGIST: frozenset(
        {
            Right.SEARCH, Right.REJECT_SAMPLE, Right.SEE_RESULTS, Right.ENTER, Right.RELEASE, Right.RELEASE_BLOCKED,
            Right.AMEND, Right.CALL,
            Right.LINK, Right.QC_SEE, Right.QC_EDIT, Right.REPORTS, Right.RESEND, Right.WITHDRAW, Right.ANALYZERS_SEE,
            Right.AUDIT, Right.PRINT_SLIP,
        }
    ),
    Role.ENGINEER: frozenset({Right.ANALYZERS_SEE, Right.MESSAGES, Right.QC_SEE, Right.SET_UP}),
    Role.ADMIN: frozenset(
        {Right.USERS, Right.AUDIT, Right.ANALYZERS_SEE, Right.REPORTS, Right.WITHDRAW, Right.SET_UP}
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Actor:
    """The person (or program) that does something; every audit line names one."""

    id: int | None
    name: str
    role: Role
    username: str = ""

    def may(self, right: Right) -> bool:
        """True when this person's role has the right."""
        return right in RIGHTS[self.role]

    def must(self, right: Right) -> None:
        """Raise NotAllowed unless this person's role has the right."""
        if not self.may(right):
            raise NotAllowed(f"{self.role.value} may not {right.value}")
