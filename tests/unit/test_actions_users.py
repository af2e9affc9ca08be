"""People and passwords: throttled log-in, the last admin stays, sessions end when they must; controls and the tray."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from middleware import pipeline
from middleware.actions import qc, users
from middleware.model import Refused, Role
from middleware.schema import AuditRow, ControlRow, ControlTarget, LockedOut, User
from middleware.store import put
from tests.labs import PASSWORD, Clock, Desk


def log_in(desk: Desk, password: str = PASSWORD, name: str = "technician", client: str = "10.0.0.7") -> bool:
    return users.check_login(desk.lab, name, password, client) is not None


def test_the_right_password_and_the_name_in_any_letters(desk: Desk) -> None:
    found = users.check_login(desk.lab, " Technician ", PASSWORD, "10.0.0.7")
    assert found is not None and found.actor == desk.technician and found.session_epoch == 0
    assert desk.audit()[-1] == ("log in", "user", "Technician Devi")
    assert not log_in(desk, "wrong") and not log_in(desk, PASSWORD, "nobody")


def test_five_wrong_tries_close_the_door_for_fifteen_minutes(desk: Desk, clock: Clock) -> None:
    for _ in range(5):
        assert not log_in(desk, "wrong")
    with pytest.raises(Refused, match="Too many wrong tries"):
        log_in(desk)
    with pytest.raises(Refused, match="Too many wrong tries"):
        log_in(desk, name="TECHNICIAN ", client="10.0.0.8")
    assert log_in(desk, name="pathologist")  # nobody else is shut out
    clock.forward(minutes=15, seconds=1)
    assert log_in(desk)
    assert len(desk.rows(LockedOut)) == 0  # forgotten with the right password


def test_a_client_that_tries_many_names_is_shut_out(desk: Desk) -> None:
    with desk.lab.write() as conn:
        for n in range(20):
            put(conn, LockedOut, key="client:10.0.0.7", at=desk.clock() - timedelta(minutes=n % 10))
    with pytest.raises(Refused, match="Too many"):
        log_in(desk)
    assert log_in(desk, client="10.0.0.8")


def test_somebody_shut_out_cannot_log_in_and_has_no_session(desk: Desk) -> None:
    users.set_active(desk.lab, desk.admin, desk.technician.id or 0, False)
    assert not log_in(desk) and users.person(desk.lab, desk.technician.id or 0) is None
    users.set_active(desk.lab, desk.admin, desk.technician.id or 0, True)
    assert log_in(desk)


CHANGES: dict[str, Callable[[Desk], object]] = {
    "set_password": lambda d: users.set_password(d.lab, d.admin, d.technician.id or 0, "a new password"),
    "own_password": lambda d: users.change_own_password(d.lab, d.technician, PASSWORD, "a new password"),
    "set_role": lambda d: users.set_role(d.lab, d.admin, d.technician.id or 0, Role.ENGINEER),
    "set_active": lambda d: users.set_active(d.lab, d.admin, d.technician.id or 0, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_person_ends_their_sessions(change: str, desk: Desk) -> None:
    CHANGES[change](desk)
    assert desk.one(User, username="technician")["session_epoch"] == 1
    assert {u["session_epoch"] for u in desk.rows(User) if u["username"] != "technician"} == {0}


def test_a_given_password_is_changed_at_the_first_log_in(desk: Desk) -> None:
    users.set_password(desk.lab, desk.admin, desk.technician.id or 0, "a new password")
    found = users.check_login(desk.lab, "technician", "a new password", "x")
    assert found is not None and found.must_change
    users.change_own_password(desk.lab, desk.technician, "a new password", "my own password")
    assert desk.one(User, username="technician")["must_change"] is False and not log_in(desk, "a new password")
    assert log_in(desk, "my own password")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("wrong", "a new password", "not right"),
        (PASSWORD, PASSWORD, "differs"),
        (PASSWORD, "short", "at least 8"),
    ],
)
def test_a_password_is_not_changed_to_nonsense(old: str, new: str, why: str, desk: Desk) -> None:
    before = desk.dump()
    with pytest.raises(Refused, match=why):
        users.change_own_password(desk.lab, desk.technician, old, new)
    assert desk.dump() == before


def test_the_last_admin_stays(desk: Desk) -> None:
    me = desk.admin.id or 0
    for taken_away in (
        lambda: users.set_role(desk.lab, desk.admin, me, Role.TECHNICIAN),
        lambda: users.set_active(desk.lab, desk.admin, me, False),
    ):
        with pytest.raises(Refused, match="last admin"):
            taken_away()
    other = users.create_user(desk.lab, desk.admin, "Asha", "Asha Devi", "DMLT", Role.ADMIN, PASSWORD)
    users.set_active(desk.lab, desk.admin, other, False)
    with pytest.raises(Refused, match="last admin"):  # somebody who cannot log in does not count
        users.set_role(desk.lab, desk.admin, me, Role.TECHNICIAN)
    users.set_active(desk.lab, desk.admin, other, True)
    users.set_role(desk.lab, desk.admin, me, Role.TECHNICIAN)
    assert desk.rows(AuditRow)[-1]["detail"] == {"old": "admin", "new": "technician"}


@pytest.mark.parametrize(
    ("username", "name", "password", "why"),
    [
        ("Technician", "Asha Devi", PASSWORD, "The login name technician is taken"),
        (" ", "Asha Devi", PASSWORD, "needs a name"),
        ("asha", " ", PASSWORD, "needs a name"),
        ("asha", "Asha Devi", "short", "at least 8"),
        ("a" * 61, "Asha Devi", PASSWORD, "Too long: username"),
    ],
)
def test_a_user_that_cannot_be_is_refused(username: str, name: str, password: str, why: str, desk: Desk) -> None:
    before = desk.dump()
    with pytest.raises(Refused, match=why):
        users.create_user(desk.lab, desk.admin, username, name, "", Role.TECHNICIAN, password)
    assert desk.dump() == before


def test_no_password_stands_anywhere(desk: Desk) -> None:
    users.create_user(desk.lab, desk.admin, "asha", "Asha Devi", "", Role.TECHNICIAN, "a very secret word")
    assert "secret word" not in str(desk.dump())
    assert all(u["password_hash"].startswith("$argon2id$") for u in desk.rows(User))


# ---- controls


def control(desk: Desk, value: str) -> dict[str, object]:
    desk.clock.forward(minutes=10)
    message = desk.message("LOT-1", f"HB={value} g/dL", at=f"{desk.clock():%Y%m%d%H%M%S}")
    body = message.body.replace(b"|||||||P|1|", b"|||||||Q|1|")
    pipeline.process(desk.lab, type(message)(message.id, "bench", desk.clock(), body))
    return desk.rows(ControlRow)[-1]


def target(desk: Desk, mean: str, sd: str = "0.3", note: str = "insert", test: str = "HB") -> int:
    return qc.set_target(
        desk.lab, desk.pathologist, "bench", "LOT-1", "1", test, Decimal(mean), Decimal(sd), True, None, note
    )


def test_a_point_keeps_the_target_of_its_day(desk: Desk) -> None:
    assert control(desk, "11.9")["target_id"] is None
    first = target(desk, "12.0")
    assert [c["target_id"] for c in desk.rows(ControlRow)] == [first]  # those without one get the first
    assert control(desk, "12.1")["target_id"] == first
    second = target(desk, "12.2")
    assert control(desk, "12.3")["target_id"] == second
    assert [(c["value"], c["target_id"]) for c in desk.rows(ControlRow)] == [
        (Decimal("11.9"), first), (Decimal("12.1"), first), (Decimal("12.3"), second),
    ]  # fmt: skip
    assert [t["mean"] for t in desk.rows(ControlTarget)] == [Decimal("12.0"), Decimal("12.2")]
    assert desk.rows(AuditRow)[-1]["detail"] == {"mean": "12.2", "sd": "0.3", "note": "insert", "old": ["12.0", "0.3"]}


@pytest.mark.parametrize(
    ("mean", "sd", "note", "test", "why"),
    [
        ("12", "0", "insert", "HB", "SD must be more"),
        ("12", "NaN", "insert", "HB", "SD must be more"),
        ("Infinity", "1", "insert", "HB", "SD must be more"),
        ("12", "1", " ", "HB", "where mean and SD"),
        ("12", "1", "insert", "NOSUCH", "not a test"),
    ],
)
def test_a_target_that_cannot_be_is_refused(mean: str, sd: str, note: str, test: str, why: str, desk: Desk) -> None:
    before = desk.dump()
    with pytest.raises(Refused, match=why):
        target(desk, mean, sd, note, test)
    assert desk.dump() == before


def test_an_excluded_point_stays_visible_with_its_cause(desk: Desk) -> None:
    point = control(desk, "15.0")
    with pytest.raises(Refused, match="documented cause"):
        qc.exclude_point(desk.lab, desk.pathologist, int(str(point["id"])), "")
    with pytest.raises(Refused, match="no such point"):
        qc.exclude_point(desk.lab, desk.pathologist, 4711, "bubble")
    qc.exclude_point(desk.lab, desk.pathologist, int(str(point["id"])), "bubble")
    assert desk.one(ControlRow) == {**point, "excluded": True, "excluded_note": "bubble"}
