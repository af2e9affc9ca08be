"""The forty made-up patients of the demo: all ages, both sexes, what each is asked for. Data, no logic to speak of.

Law: deterministic; numbers and names are invented and belong to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from middleware.actions.register import Registration
from middleware.model import MobileOwner, Sex

CBC, KFT, LFT, ELEC, THY, LIPID = "CBC", "KFT", "LFT", "ELEC", "THYROID", "LIPID"

# name · sex · age in days · tests · whose phone · department; ages from two days to ninety years.
PEOPLE: tuple[tuple[str, str, int, tuple[str, ...], str, str], ...] = (
    ("Baby of Sunita", "F", 2, ("TBIL", "DBIL"), "family", "SNCU"),
    ("Aarav Gond", "M", 25, (CBC,), "family", "SNCU"),
    ("Anvi Maurya", "F", 210, (CBC, "CRP"), "family", "Paediatrics"),
    ("Kartik Bind", "M", 700, (CBC,), "family", "Paediatrics"),
    ("Pari Chauhan", "F", 1500, (CBC, "MALARIA"), "family", "Paediatrics"),
    ("Shivansh Patel", "M", 2900, (CBC, "WIDAL"), "family", "Paediatrics"),
    ("Riya Vishwakarma", "F", 4600, (CBC, KFT), "family", "Paediatrics"),
    ("Sahil Ansari", "M", 5600, (CBC, LFT), "self", "Medicine"),
    ("Pooja Yadav", "F", 6900, (CBC, THY), "self", "ANC"),
    ("Ankit Rajbhar", "M", 7300, (CBC, "DENGUE"), "self", "Medicine"),
    ("Rukhsana Bano", "F", 8100, (CBC, "BGROUP", "GLUR"), "asha", "ANC"),
    ("Vikas Nishad", "M", 8800, (CBC, KFT, LFT), "self", "Medicine"),
    ("Neha Singh", "F", 9300, (CBC, THY, "FERR"), "self", "ANC"),
    ("मनोज कुमार", "M", 9900, (CBC, KFT), "self", "Emergency"),
    ("Kiran Devi", "F", 10500, (CBC, "GLUF"), "family", "Medicine"),
    ("Imtiyaz Khan", "M", 10900, (CBC, LFT, "HBSAG"), "self", "Medicine"),
    ("Seema Gupta", "F", 11400, (THY, "VITD"), "self", "Medicine"),
    ("Rajesh Prajapati", "M", 11900, (CBC, KFT, ELEC), "self", "Emergency"),
    ("Lalita Sahani", "F", 12300, (CBC, "URINE"), "family", "ANC"),
    ("Deepak Mishra", "M", 12800, (KFT, LFT, LIPID), "self", "Medicine"),
    ("Geeta Kushwaha", "F", 13400, (CBC, "T3", "T4", "TSH"), "self", "Medicine"),
    ("Santosh Jaiswal", "M", 13900, ("GLUF", "GLUPP", LIPID), "self", "Medicine"),
    ("Shabnam Parveen", "F", 14300, (CBC, KFT), "family", "Surgery"),
    ("Arvind Pandey", "M", 14800, (CBC, LFT), "self", "Medicine"),
    ("Meena Bharti", "F", 15400, (CBC, "B12", "FERR"), "self", "Medicine"),
    ("Sunil Sonkar", "M", 16000, (KFT, ELEC), "self", "Emergency"),
    ("Usha Tiwari", "F", 16500, (CBC, THY), "self", "Medicine"),
    ("Ramesh Kumar Verma", "M", 17100, (CBC, "HIV"), "self", "Surgery"),
    ("Phoolmati Devi", "F", 17800, (CBC, KFT, LFT), "family", "Medicine"),
    ("Mahendra Pal", "M", 18400, (CBC, "GLUR"), "self", "Medicine"),
    ("Hasina Begum", "F", 19300, (CBC, KFT), "asha", "Medicine"),
    ("Om Prakash Dubey", "M", 20100, (KFT, LFT, ELEC), "self", "Medicine"),
    ("Savitri Maurya", "F", 21000, (CBC, THY, "VITD"), "family", "Medicine"),
    ("Ram Lakhan Yadav", "M", 22000, (CBC, KFT, ELEC), "none", "Emergency"),
    ("Chandrawati Devi", "F", 23200, (CBC, LFT), "family", "Medicine"),
    ("Shyam Bihari Lal", "M", 24500, (CBC, KFT, "GLUR"), "family", "Medicine"),
    ("Jamuna Prasad", "M", 26000, (CBC, KFT), "family", "Surgery"),
    ("Kamla Devi", "F", 27800, (CBC, "B12", "VITD"), "family", "Medicine"),
    ("Ghanshyam Das", "M", 29900, (CBC, KFT, LFT), "none", "Emergency"),
    ("Rampyari Devi", "F", 32900, (CBC, ELEC), "family", "Medicine"),
)

# Patients who were here three days ago (index in PEOPLE → what was found then): delta has something to compare with.
EARLIER: dict[int, dict[str, str]] = {
    11: {"HB": "13.4", "CREAT": "0.9"},
    17: {"CREAT": "1.0", "K": "4.2", "HB": "14.1"},
    22: {"HB": "11.8", "CREAT": "0.8"},
    28: {"HB": "12.1", "PLT": "242", "CREAT": "0.9"},
    33: {"K": "4.4", "CREAT": "1.3"},
    35: {"HB": "13.0", "CREAT": "1.1"},
}

DOCTORS = {
    "Medicine": "OPD 3", "Paediatrics": "OPD 5", "ANC": "OPD 7", "Emergency": "Casualty", "Surgery": "OPD 2",
    "SNCU": "SNCU ward",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visitor:
    """One row of PEOPLE with its place."""

    index: int
    name: str
    sex: Sex
    age_days: int
    tests: tuple[str, ...]
    owner: MobileOwner
    department: str


def visitors(count: int = len(PEOPLE), offset: int = 0) -> tuple[Visitor, ...]:
    """The first `count` people; past the forty they come again under a new number, a little older."""
    found = []
    for index in range(offset, offset + count):
        name, sex, age, tests, owner, department = PEOPLE[index % len(PEOPLE)]
        again = index // len(PEOPLE)
        name = f"{name} {again + 1}" if again else name
        found.append(Visitor(index, name, Sex(sex), age + 37 * again, tests, MobileOwner(owner), department))
    return tuple(found)


def registration(visitor: Visitor, today: date, tests: tuple[str, ...] | None = None) -> Registration:
    """The form reception fills in for this person. Ages over two years are given as years, as people do."""
    exact = visitor.age_days < 730
    return Registration(
        name=visitor.name,
        sex=visitor.sex,
        birth_date=today - timedelta(days=visitor.age_days),
        birth_precision="day" if exact else "year",
        mobile=None if visitor.owner is MobileOwner.NONE else f"70000{visitor.index + 1:05d}",
        mobile_owner=visitor.owner,
        sms_consent=visitor.owner is not MobileOwner.NONE and tests is None,
        language="en" if visitor.index % 4 == 3 else "hi",
        doctor=DOCTORS[visitor.department],
        department=visitor.department,
        tests=tests or visitor.tests,
    )
