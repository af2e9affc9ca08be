"""What a case is: a clause, what is done, what is expected, and the function that tries it.

Turns a function into an entry of the kit's table. Law: the function says what was seen, in words, pass or fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulators.conform.material import Material
from simulators.conform.talk import Talk

Seen = tuple[bool, str]
"""Whether it is as expected, and what it was."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to try. `role` is what the peer does in it; `waits` are the seconds it cannot be done without.

    `only` restricts it: "tcp" or "serial" to a kind of line; "host" or "analyzer" to what the peer is. `leaves`: the
    peer has not got rid of its message, and will try again later.
    """

    clause: str
    section: str
    role: str
    done: str
    expected: str
    attempt: Callable[[Talk, Material], Seen]
    waits: float = 0.0
    only: str = ""
    leaves: bool = False


def case(
    role: str,
    clause: str,
    section: str,
    done: str,
    expected: str,
    waits: float = 0.0,
    only: str = "",
    leaves: bool = False,
) -> Callable[[Callable[[Talk, Material], Seen]], Case]:
    """Makes a case of the function below it."""

    def made(attempt: Callable[[Talk, Material], Seen]) -> Case:
        return Case(clause, section, role, done, expected, attempt, waits, only, leaves)

    return made
