"""Bio-Rad D-10, HbA1c by HPLC. LIS2-A2 over RS-232, one record in a frame.

Manual  Bio-Rad, D-10 LIS interface (not public); what working interfaces read of it
Proof   manual: the only message at hand was made up for a simulator; ids and peaks as working interfaces read them

Where things sit: sample O-3 component 1, rack and position after `^` or a hyphen; where O-3 is empty O-4, its own long
id `barcode-position-injection-date-…` · code R-3 component 4, the name of a peak (A1c, A2, F, A0, P3 …), component 5
what is said of it: AREA (per cent), CALIB (the calibrated per cent), TIME (minutes) · value R-4 · unit R-5 (`%`; the
Bio-Rad CDM says NGSP and means it) · flag R-7 · range R-6 · status R-9 · time R-13 · TOTAL is the last row · control
O-12 or H-12 Q; calibrators are sent too.
Quirks: The HbA1c to report is the CALIB row of A1c where there is one, else its AREA; other peaks are shown, none
reported. Before the first hyphen stands the tube's number when it is twelve digits, as our tubes have; any other id is
given whole, for it may hold hyphens of its own.
Cannot: take another laboratory's barcode out of the long id: send the sample id in O-3. Convert IFCC mmol/mol (not a
factor): held. Answer host queries: results only, as its order codes (4 for HbA1c) are no result codes.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Grade, Kind, Observation, known, measurement
from drivers.engine.form import RowText

TUBE = r"\d{12}"
PEAKS = ("A1a", "A1b", "A0", "A2", "F", "LA1c", "LA1c/CHb-1", "LA1c/CHb-2", "P1", "P2", "P3", "P4", "P5", "TOTAL")
VARIANTS = ("S-window", "C-window", "D-window", "E-window", "Variant", "Unknown")


def told(row: Observation, _text: RowText) -> Observation:
    """The tube's number before the first hyphen, when it is one; a retention time is a detail of its peak."""
    tube, _, rack = (row.sample_id or "").partition("-")
    row = row._replace(sample_id=tube) if rack and re.fullmatch(TUBE, tube) else row
    return row._replace(kind=Kind.DETAIL) if row.aspect == "TIME" else row


def calibrated_first(observations: Sequence[Observation]) -> tuple[bool, ...]:
    """Of each peak of a sample the CALIB row, else the AREA row; never a time."""
    calibrated = {(row.sample_id, row.code) for row in observations if row.aspect == "CALIB" and row.value}
    return tuple(
        row.kind is Kind.MEASUREMENT and (row.aspect == "CALIB" or (row.sample_id, row.code) not in calibrated)
        for row in observations
    )


DRIVER = replace(
    ASTM,
    name="biorad_d10",
    title="Bio-Rad D-10",
    grade=Grade.MANUAL,
    sender=r"D-?10|Bio-Rad",
    sample_id=("O.3.1", "O.4"),
    aspect="R.3.5",
    one_record_a_frame=True,
    tests={"A1c": measurement("HBA1C", "%", {"NGSP": "1"}), **dict.fromkeys((*PEAKS, *VARIANTS), known())},
    retells=told,
    reports=calibrated_first,
)
