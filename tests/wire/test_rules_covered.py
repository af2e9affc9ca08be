"""Every rule of the wire has a test named by its rule, its clause and, where the rule speaks to both ends, its role.

A test is `test_ll_33_6_5_1_1_receiver_…`; a case of a table is "LL-33 6.5.1.1 receiver: …". The receiver reads (and
acknowledges), the sender builds and sends. The list below is written by hand from the rule list: a rule that loses its
last test fails here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]
R, S, BOTH, NONE = ("receiver",), ("sender",), ("receiver", "sender"), ("",)
RULES: dict[str, tuple[str, tuple[str, ...]]] = {  # rule: the clauses it may be named by, the roles it speaks to
    # the line: LIS01-A2 (E1381)
    "LL-01": ("5.2.2.4", NONE), "LL-02": ("5.2.3", NONE), "LL-03": ("8.2.1.1", NONE),
    "LL-10": ("6.1.3", BOTH), "LL-11": ("6.2.3 6.2.4", S), "LL-12": ("6.2.4", BOTH), "LL-13": ("6.2.5", R),
    "LL-14": ("6.2.6", BOTH), "LL-15": ("6.2.7", BOTH), "LL-16": ("6.5.2.1", S), "LL-17": ("6.2.7.1", S),
    "LL-18": ("6.5.2.2", S), "LL-20": ("6.3.1.2", BOTH), "LL-21": ("6.3.1.1", BOTH), "LL-22": ("6.3.1", BOTH),
    "LL-23": ("6.3.2.1", BOTH), "LL-24": ("6.3.3", BOTH), "LL-25": ("6.3.4", S), "LL-26": ("6.3.4.2", BOTH),
    "LL-27": ("6.3.4.3", BOTH), "LL-28": ("6.3.4.4 6.3.5", BOTH), "LL-29": ("6.5.1.2", S), "LL-30": ("6.5.1.2", S),
    "LL-31": ("6.5.2.3", S), "LL-32": ("6.5.2.5", R), "LL-33": ("6.5.1.1", R), "LL-34": ("6.3.2", R),
    "LL-35": ("6.5.1.1", R), "LL-36": ("6.5.2.4", R), "LL-37": ("6.5.2.6", S), "LL-38": ("6.6", BOTH),
    "LL-40": ("6.4.1", BOTH),
    # the records: LIS02-A2 (E1394)
    "RC-01": ("4.1 14", BOTH), "RC-02": ("4.1 12", BOTH), "RC-03": ("4.1", BOTH), "RC-04": ("4.1", R),
    "RC-05": ("4.2.1", R), "RC-06": ("4.2.2", R), "RC-07": ("5.6.7", BOTH), "RC-10": ("5.1", BOTH),
    "RC-11": ("5.2", R), "RC-12": ("5.4.1", BOTH), "RC-13": ("5.4.6 6.2", BOTH), "RC-14": ("5.4.7 5.4.8", BOTH),
    "RC-15": ("5.4.9", R), "RC-16": ("5.4.5", BOTH), "RC-17": ("5.1 5.5", R), "RC-18": ("5.6.2", R),
    "RC-19": ("5.6.1", BOTH), "RC-20": ("5.6.4", R), "RC-30": ("8.2", BOTH), "RC-31": ("8.2", R), "RC-32": ("9.4", R),
    "RC-33": ("8.4.3", BOTH), "RC-34": ("11 12.3", BOTH), "RC-35": ("11.13", R), "RC-36": ("6.12", R),
    "RC-37": ("9.9 8.4.26", R),
    # blocks: MLLP releases 1 and 2, whose pages have no numbers
    "ML-01": ("", BOTH), "ML-02": ("", R), "ML-03": ("", BOTH), "ML-04": ("", R),
    "ML-05": ("", BOTH), "ML-06": ("", BOTH),
    # HL7 v2: chapter 2 by section of v2.5.1, else the chapter
    "H7-01": ("2.9.2", R), "H7-02": ("2.9.3", BOTH), "H7-03": ("2.9", BOTH), "H7-04": ("", BOTH), "H7-05": ("", R),
    "H7-06": ("2.6", BOTH), "H7-07": ("2.7", BOTH), "H7-08": ("2.5.3", R), "H7-09": ("", BOTH), "H7-10": ("7", R),
    "H7-11": ("4 5", R), "H7-12": ("2.8", BOTH),
}  # fmt: skip
_TEST = re.compile(r"test_(ll|rc|ml|h7)_(\d\d)_((?:\d+_)*)(receiver_|sender_|)(\w+)")
_CASE = re.compile(r"(LL|RC|ML|H7)-(\d\d) ((?:[\d.]+ )?)(receiver|sender): (.+)")
_ANY = re.compile(r"test_(?:ll|rc|ml|h7)_\d\d|\"(?:LL|RC|ML|H7)-\d\d ")


class Proof(NamedTuple):
    """A test or a case of a table: what it says that it proves."""

    rule: str
    clause: str
    role: str
    what: str
    file: str


def _in(path: Path) -> Iterator[Proof]:
    text = path.read_text(encoding="utf-8")
    if not _ANY.search(text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _TEST.fullmatch(node.name)):
            system, number, clause, role, what = found.groups()
            yield Proof(f"{system.upper()}-{number}", clause.replace("_", ".")[:-1], role[:-1], what, path.name)
        elif isinstance(node, ast.Dict):
            for key in node.keys:
                if (
                    isinstance(key, ast.Constant)
                    and isinstance(key.value, str)
                    and (case := _CASE.fullmatch(key.value))
                ):
                    system, number, clause, role, what = case.groups()
                    yield Proof(f"{system}-{number}", clause.strip(), role, what, path.name)


@cache
def proofs() -> tuple[Proof, ...]:
    """All there are in the suite, wherever the duty lies: on the wire, in a driver, in the middleware."""
    return tuple(proof for path in sorted(TESTS.rglob("test_*.py")) for proof in _in(path))


def test_the_list_of_rules_is_whole() -> None:
    numbers = {
        "LL": [1, 2, 3, *range(10, 19), *range(20, 39), 40], "RC": [*range(1, 8), *range(10, 21), *range(30, 38)],
        "ML": [*range(1, 7)], "H7": [*range(1, 13)],
    }  # fmt: skip
    assert list(RULES) == [f"{system}-{number:02}" for system, of in numbers.items() for number in of]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_named_by_its_clause_for_each_role(rule: str) -> None:
    clauses, roles = RULES[rule]
    named = {proof.role for proof in proofs() if proof.rule == rule and proof.clause in (clauses.split() or [""])}
    assert [role for role in roles if role not in named] == []


def test_no_test_names_a_rule_or_a_clause_that_is_not_on_the_list() -> None:
    """A wrong clause sends the reader to the wrong page."""
    wrong = [
        f"{proof.file}: {proof.rule} {proof.clause} {proof.role} {proof.what}"
        for proof in proofs()
        if proof.rule not in RULES or proof.clause not in (RULES[proof.rule][0].split() or [""])
    ]
    assert wrong == []


def test_test_files_of_the_wire_stay_under_400_lines() -> None:
    long = [path.name for path in Path(__file__).parent.glob("*.py") if path.read_text("utf-8").count("\n") > 400]
    assert long == []
