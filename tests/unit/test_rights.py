"""Who may do what: the table of rights once more by hand, and every action tried with every role.

The action of somebody who may leaves exactly the audit lines named here; of somebody who may not, nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from middleware import pipeline
from middleware.actions import qc, register, reports, results, samples, unmatched, users
from middleware.journal import Journal
from middleware.model import RIGHTS, Actor, MobileOwner, NotAllowed, Refused, Right, Role
from middleware.schema import ControlRow, OrderTest, UnmatchedRow
from tests.conftest import ON_SQLITE
from tests.labs import PASSWORD, Desk

# Who may is decided before any SQL; what the actions write is tried on both engines by test_actions_*.

R, T, P, E, A = Role.RECEPTION, Role.TECHNICIAN, Role.PATHOLOGIST, Role.ENGINEER, Role.ADMIN

BY_HAND = {
    Right.REGISTER: {R, T},
    Right.PRINT_SLIP: {R, T, P},
    Right.SEARCH: {R, T, P},
    Right.COLLECT: {R, T},
    Right.REJECT_SAMPLE: {T, P},
    Right.SEE_RESULTS: {T, P},
    Right.ENTER: {T, P},
    Right.RELEASE: {T, P},
    Right.RELEASE_BLOCKED: {P},
    Right.AMEND: {T, P},
    Right.CALL: {T, P},
    Right.LINK: {T, P},
    Right.QC_SEE: {T, P, E},
    Right.QC_EDIT: {P},
    Right.REPORTS: {R, T, P, A},
    Right.RESEND: {R, T, P},
    Right.WITHDRAW: {P, A},
    Right.ANALYZERS_SEE: {T, P, E, A},
    Right.MESSAGES: {E},
    Right.SET_UP: {E, A},
    Right.USERS: {A},
    Right.AUDIT: {P, A},
}


def test_the_table_is_the_one_written_by_hand() -> None:
    assert {right: {role for role in Role if right in RIGHTS[role]} for right in Right} == BY_HAND


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_may_and_must_agree_with_the_table(role: Role, right: Right) -> None:
    actor = Actor(1, "Somebody", role)
    assert actor.may(right) is (role in BY_HAND[right])
    if role in BY_HAND[right]:
        actor.must(right)
    else:
        with pytest.raises(NotAllowed, match=f"{role.value} may not {right.value}"):
            actor.must(right)


@dataclass(frozen=True)
class Act:
    """One action: who may, what has to be there before, the call, and the audit lines it leaves."""

    name: str
    may: set[Role]
    before: Callable[[Desk], Any]
    do: Callable[[Desk, Actor, Any], object]
    leaves: tuple[tuple[str, str], ...]


def awaited(desk: Desk) -> Any:
    return desk.register("HB", "PLT")


def test_id(desk: Desk, made: Any, code: str = "HB") -> int:
    return int(desk.test(made, code)["id"])


test_id.__test__ = False  # type: ignore[attr-defined]


def held(desk: Desk) -> int:
    """A result that waits, in an order that awaits more."""
    made = desk.register("HB", "PLT")
    return desk.say(desk.sample_id(made), "HB=13.0 g/dL")[0]


def critical(desk: Desk) -> int:
    made = desk.register("HB", "PLT")
    return desk.say(desk.sample_id(made), "HB=4.0 g/dL")[0]


def released(desk: Desk) -> tuple[Any, int]:
    made, (result_id,) = desk.measured("HB=13.0 g/dL")
    assert results.release(desk.lab, desk.pathologist, [result_id]).refused == ()
    return made, result_id


def in_tray(desk: Desk) -> tuple[Any, int]:
    made = desk.register("HB", "PLT")
    desk.say("107632699990", "HB=13.0 g/dL", at=f"20261122{next(desk.numbers):06d}")
    return made, int(desk.tray()[-1]["id"])


def control(desk: Desk) -> int:
    message = desk.message("LOT-1", "HB=12.0 g/dL")
    body = message.body.replace(b"|||||||P|1|", b"|||||||Q|1|")
    pipeline.process(desk.lab, replace(message, body=body))
    return int(desk.rows(ControlRow)[0]["id"])


def journaled(desk: Desk) -> str:
    journal = Journal.open(desk.lab.settings.journal)
    message = journal.finish("bench", None, desk.message("107632699990", "HB=13.0 g/dL").body, False)
    journal.close()
    return message.id


def nothing(_desk: Desk) -> None:
    return None


def somebody(desk: Desk) -> int:
    return users.create_user(desk.lab, desk.admin, f"user{desk.last_audit()}", "Asha Devi", "", T, PASSWORD)


ACTS = (
    Act("register", {R, T}, nothing, lambda d, a, _: register.register(d.lab, a, d.form("HB")),
        (("register", "patient"), ("register", "order"))),
    Act("mint_slip", {R, T, P}, awaited, lambda d, a, m: register.mint_slip(d.lab, a, m.order_id),
        (("print slip", "order"),)),
    Act("add_tests", {R, T}, awaited, lambda d, a, m: register.add_tests(d.lab, a, m.order_id, ("WBC",)),
        (("add tests", "order"),)),
    Act("cancel_test", {R, T}, awaited, lambda d, a, m: register.cancel_test(d.lab, a, test_id(d, m), "twice"),
        (("cancel test", "order"),)),
    Act("correct_mobile", {R, T, P}, awaited,
        lambda d, a, m: register.correct_mobile(d.lab, a, m.order_id, "9812345671", MobileOwner.SELF, True, "typo"),
        (("correct mobile", "order"),)),
    Act("correct_patient", {R, T}, awaited,
        lambda d, a, m: register.correct_patient(d.lab, a, m.patient_id, {"name": "Sunita Singh"}, "typo"),
        (("correct patient", "patient"),)),
    Act("collect", {R, T}, lambda d: d.register("HB", received=False, collected_now=False),
        lambda d, a, m: samples.collect(d.lab, a, m.sample_pks[0]), (("collect", "sample"),)),
    Act("receive", {R, T}, lambda d: d.register("HB", received=False),
        lambda d, a, m: samples.receive(d.lab, a, m.sample_pks[0]), (("receive", "sample"),)),
    Act("reject_sample", {T, P}, awaited,
        lambda d, a, m: samples.reject_sample(d.lab, a, m.sample_pks[0], "clotted", True),
        (("reject sample", "sample"),)),
    Act("release", {T, P}, held, lambda d, a, r: results.release(d.lab, a, [r]), (("release", "result"),)),
    Act("release_green", {T, P}, held, lambda d, a, r: results.release_green(d.lab, a, [r]), (("release", "result"),)),
    Act("reject", {T, P}, held, lambda d, a, r: results.reject(d.lab, a, r, "clot"), (("reject", "result"),)),
    Act("close_test", {T, P}, awaited, lambda d, a, m: results.close_test(d.lab, a, test_id(d, m), "no reagent"),
        (("close test", "order"),)),
    Act("enter", {T, P}, awaited, lambda d, a, m: results.enter(d.lab, a, test_id(d, m), "13.0", "13.0"),
        (("type result", "result"),)),
    Act("amend", {T, P}, released, lambda d, a, m: results.amend(d.lab, a, m[1], "13.5", "13.5", "misread"),
        (("type result", "result"), ("amend", "result"), ("issue report", "report"))),
    Act("record_call", {T, P}, critical,
        lambda d, a, r: results.record_call(d.lab, a, r, "Dr Singh", "", True, True, ""),
        (("critical call", "result"),)),
    Act("link", {T, P}, in_tray,
        lambda d, a, m: unmatched.link(d.lab, a, m[1], m[0].sample_pks[0], "HB", "tube in hand"),
        (("link", "unmatched"), ("link", "result"))),
    Act("dismiss", {T, P}, in_tray, lambda d, a, m: unmatched.dismiss(d.lab, a, m[1], "a trial run"),
        (("dismiss", "unmatched"),)),
    Act("resend", {R, T, P}, released, lambda d, a, m: reports.resend(d.lab, a, m[0].report_no),
        (("resend", "report"),)),
    Act("retry_now", {R, T, P}, released, lambda d, a, m: reports.retry_now(d.lab, a, m[0].report_no),
        (("retry hand-over", "report"),)),
    Act("withdraw", {P, A}, released, lambda d, a, m: reports.withdraw(d.lab, a, m[0].report_no, "wrong patient"),
        (("withdraw", "report"),)),
    Act("interim", {T, P}, awaited, lambda d, a, m: reports.interim(d.lab, a, m.order_id),
        (("print interim", "report"),)),
    Act("set_target", {P}, nothing,
        lambda d, a, _: qc.set_target(d.lab, a, "bench", "LOT-1", "1", "HB", Decimal("12"), Decimal("0.3"), True, None,
                                      "insert"), (("set target", "control"),)),
    Act("exclude_point", {P}, control, lambda d, a, c: qc.exclude_point(d.lab, a, c, "bubble"),
        (("exclude point", "control"),)),
    Act("replay", {E}, journaled, lambda d, a, m: pipeline.replay(d.lab, a, m), (("replay", "message"),)),
    Act("create_user", {A}, nothing,
        lambda d, a, _: users.create_user(d.lab, a, f"new-{a.username}", "Asha Devi", "", T, PASSWORD),
        (("create user", "user"),)),
    Act("set_password", {A}, somebody, lambda d, a, u: users.set_password(d.lab, a, u, "a new password"),
        (("set password", "user"),)),
    Act("set_role", {A}, somebody, lambda d, a, u: users.set_role(d.lab, a, u, P), (("set role", "user"),)),
    Act("set_active", {A}, somebody, lambda d, a, u: users.set_active(d.lab, a, u, False), (("deactivate", "user"),)),
    Act("change_own_password", set(Role), nothing,
        lambda d, a, _: users.change_own_password(d.lab, a, PASSWORD, "a new password"),
        (("change own password", "user"),)),
)  # fmt: skip


@ON_SQLITE
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_an_action_is_for_its_roles_and_leaves_its_audit_lines(act: Act, desk: Desk) -> None:
    given = act.before(desk)
    before = desk.dump()
    for role in [r for r in Role if r not in act.may]:
        with pytest.raises(NotAllowed):
            act.do(desk, desk.people[role], given)
    assert desk.dump() == before
    for role in sorted(act.may):
        given = act.before(desk)
        last = desk.last_audit()
        act.do(desk, desk.people[role], given)
        who = desk.people[role].name
        assert desk.audit(last) == [(action, subject, who) for action, subject in act.leaves]


def test_every_action_is_in_the_table() -> None:
    """A new action of these modules must be tried with every role too."""
    ours = {act.name for act in ACTS} | {
        "latest", "set_language", "check_login", "person", "person_of",  # no right: read, or one's own
        "register", "release_in", "reject_open", "new_sample", "expand",  # in somebody else's transaction
    }  # fmt: skip
    found = {
        name
        for module in (register, samples, results, unmatched, reports, users, qc)
        for name, thing in vars(module).items()
        if callable(thing) and getattr(thing, "__module__", "").startswith("middleware.actions.")
        and not thing.__module__.endswith((".issue", ".patients"))
        and not name.startswith("_") and not isinstance(thing, type)
    }  # fmt: skip
    assert found - ours == set()


@ON_SQLITE
def test_a_refused_action_leaves_nothing(desk: Desk) -> None:
    made, result_id = released(desk)
    before = desk.dump()
    for refused in (
        lambda: results.enter(desk.lab, desk.technician, desk.test(made, "HB")["id"], "13.0", "13.0"),
        lambda: results.reject(desk.lab, desk.technician, result_id, "late"),
        lambda: register.cancel_test(desk.lab, desk.reception, desk.test(made, "HB")["id"], "late"),
        lambda: register.add_tests(desk.lab, desk.reception, made.order_id, ("PLT",)),
        lambda: samples.reject_sample(desk.lab, desk.technician, made.sample_pks[0], "clotted", True),
        lambda: unmatched.dismiss(desk.lab, desk.technician, 12345, "no such row"),
    ):
        with pytest.raises(Refused):
            refused()
        assert desk.dump() == before
    assert desk.rows(OrderTest, state="released") and not desk.rows(UnmatchedRow)
