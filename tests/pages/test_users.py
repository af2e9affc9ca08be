"""The people of the lab and the table of rights."""

from __future__ import annotations

import pytest

from middleware.model import RIGHTS, Right, Role
from middleware.schema import User

NEW = {"username": "asha", "name": "Asha Yadav", "qualification": "DMLT", "role": "technician",
       "password": "first word here"}  # fmt: skip


def test_add_a_person(client_as, world):
    soup = client_as("admin").post_page("/users", NEW)
    assert "Asha Yadav added." in soup.text
    (row,) = world.rows(User, username="asha")
    assert (row["role"], row["must_change"], row["active"]) == ("technician", True, True)
    assert "first word here" not in str(soup)


def test_a_taken_name_or_short_password_is_said_and_the_typing_stays(client_as):
    browser = client_as("admin")
    browser.post("/users", NEW)
    soup = browser.post_page("/users", NEW, status=409)
    assert "taken" in soup.select_one("[role=alert]").text
    assert soup.select_one("section [name=name]")["value"] == "Asha Yadav"
    assert "characters" in browser.post_page("/users", {**NEW, "username": "b", "password": "x"}, status=409).text


def test_a_role_that_does_not_exist(client_as):
    assert "check this field: Role" in client_as("admin").post_page("/users", {**NEW, "role": "king"}, status=422).text


def test_shutting_somebody_out_ends_her_session_at_once(client_as, world):
    her, admin = client_as("technician"), client_as("admin")
    her.get("/worklist")
    (row,) = world.rows(User, username="technician")
    assert "shut out" in admin.post_page(f"/users/{row['id']}/active", {"active": "no"}).text
    assert her.client.get("/worklist").headers["location"].startswith("/login")


def test_a_new_role_works_after_the_next_log_in(client_as, world):
    her, admin = client_as("technician"), client_as("admin")
    (row,) = world.rows(User, username="technician")
    admin.post(f"/users/{row['id']}/role", {"role": "engineer"})
    assert her.client.get("/worklist").status_code == 303
    assert world.rows(User, username="technician")[0]["role"] == "engineer"


def test_the_last_admin_stays(client_as, world):
    (row,) = world.rows(User, username="admin")
    browser = client_as("admin")
    assert "last admin" in browser.post(f"/users/{row['id']}/role", {"role": "engineer"}, 409).text


def test_the_table_of_rights_is_the_code_s(client_as):
    table = client_as("admin").get("/users").select_one("table.matrix")
    roles = [th.text for th in table.select("thead th")[1:]]
    assert roles == ["Reception", "Technician", "Pathologist", "Engineer", "Administrator"]
    shown = [[bool(td.select_one(".yes")) for td in tr.select("td")] for tr in table.select("tbody tr")]
    assert shown == [[right in RIGHTS[role] for role in Role] for right in Right]


def test_every_right_has_a_hindi_word(app):
    assert [r.name for r in Right if not app.state.strings.has(f"right.{r.name.lower()}")] == []


@pytest.mark.parametrize("role", ["reception", "technician", "pathologist", "engineer"])
def test_who_may_not(client_as, role, world):
    client_as(role).get("/users", 403)
    client_as(role).post("/users", NEW, status=403)
    assert world.rows(User, username="asha") == []
