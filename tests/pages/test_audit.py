"""The audit trail: found by person, thing and day; broken lines are noticed."""

from __future__ import annotations

import pytest

from middleware.schema import AuditRow
from middleware.store import audit, table


@pytest.fixture
def trail(lab, actor, clock):
    """Three lines on two days by two people."""
    one, two = actor("technician"), actor("pathologist")
    with lab.write() as conn:
        audit(conn, clock(), one, "receive", "sample", 7, {"sample_id": "107632600016"})
    clock.forward(days=1)
    with lab.write() as conn:
        audit(conn, clock(), one, "release", "result", 3, {"test": "HB", "value": "12.9", "amends": None})
        audit(conn, clock(), two, "withdraw", "report", "VNS-1", {"reason": "wrong patient"})


def lines(soup):
    return [" ".join(" ".join(td.text for td in tr.select("td")).split()) for tr in soup.select("tbody tr")]


def test_the_newest_first_in_words(client_as, trail):
    assert lines(client_as("admin").get("/audit")) == [
        "23-11-2026 10:00 Pathologist Devi Pathologist withdrew the report report VNS-1 reason: wrong patient",
        "23-11-2026 10:00 Technician Devi Technician released a result result 3 test: HB value: 12.9",
        "22-11-2026 10:00 Technician Devi Technician received the tube tube 7 tube: 107632600016",
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [("who=Technician+Devi", 2), ("subject=report", 1), ("subject=result&subject_id=3", 1), ("since=2026-11-23", 2),
     ("until=2026-11-22", 1), ("since=nonsense&page=x", 3), ("who=Nobody", 0)],
)  # fmt: skip
def test_filters(client_as, trail, query, count):
    assert len(lines(client_as("pathologist").get(f"/audit?{query}"))) == count


def test_links_lead_only_where_the_person_may_go(client_as, trail):
    links = lambda role: [a["href"] for a in client_as(role).get("/audit").select("tbody a")]  # noqa: E731
    assert links("admin") == ["/reports/VNS-1"]
    assert links("pathologist") == ["/reports/VNS-1", "/samples/7"]


def test_an_altered_line_is_noticed(client_as, trail, lab):
    browser = client_as("admin")
    assert "Every line is there and unaltered." in browser.post_page("/audit/check").text
    rows = table(AuditRow)
    with lab.write() as conn:
        conn.execute(rows.update().where(rows.c.id == 2).values(detail={"value": "99"}))
    assert "does not hold at line 2" in browser.post_page("/audit/check").select_one("[role=alert]").text


@pytest.mark.parametrize("role", ["reception", "technician", "engineer"])
def test_who_may_not(client_as, role):
    client_as(role).get("/audit", 403)
