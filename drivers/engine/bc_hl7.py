"""What the blood counters that speak Mindray's HL7 share: Mindray BC, Dymind and their rebadged kin.

The tube is OBR-3, the time OBR-7 (the analysis); a query is an ORM^O01 with the tube in ORC-3.
Turns OBX codes (LOINC, or numbers of table 99MRC) into the catalogue's tests, and rows that are no results into their
kind. Law: a code that is not listed is a measurement, never dropped. Source: captures of both makers; LOINC.
"""

from __future__ import annotations

import re
from dataclasses import replace

from drivers.driver import HL7
from drivers.engine.form import Said
from drivers.engine.words import Kind

LOINC = {
    "6690-2": "WBC", "789-8": "RBC", "718-7": "HB", "4544-3": "HCT", "787-2": "MCV", "785-6": "MCH", "786-4": "MCHC",
    "788-0": "RDWCV", "21000-5": "RDWSD", "777-3": "PLT", "32623-1": "MPV", "32207-3": "PDW",
    "751-8": "NEUTA", "731-0": "LYMPHA", "742-7": "MONOA", "711-2": "EOSA", "704-7": "BASOA",
    "770-8": "NEUTP", "736-9": "LYMPHP", "5905-5": "MONOP", "713-8": "EOSP", "706-2": "BASOP",
}  # fmt: skip
AGE = "30525-0"  # as typed on the analyzer


def unlisted(row: Said) -> Kind:
    """Settings, gates and curves by their kind and number; pictures by ED or RP; anything else is a number."""
    if row.type in ("ED", "RP"):
        return Kind.IMAGE
    if re.search(r"-[XYZ]$", row.name) or re.fullmatch(r"(0[1-9]|15)\d{3}", row.code):
        return Kind.DETAIL
    if row.type == "IS" and (re.fullmatch(r"12\d{3}", row.code) or row.value in ("T", "F")):  # 15180-3^Hypochromia^LN
        return Kind.SUSPECT
    words = row.type == "IS" and not re.fullmatch(r"[<>]?[\d.,]+|\*+", row.value)  # some firmware sends numbers as IS
    return Kind.DETAIL if words else Kind.MEASUREMENT


FORM = replace(HL7, code_name="OBX.3.2", observed_at="OBR.7", pseudo=r"0+|Invalid", query_id="ORC.3", unlisted=unlisted)
"""What the forms of Mindray BC and Dymind have in common."""
