"""Nihon Kohden Celltac MEK-1305 (blood count and ESR) and its like, haematology. LIS02-A2 over TCP or RS-232.

Manual  Nihon Kohden, Celltac LIS02-A2 output, as the captured analyzer sends it (the vendor gives no manual)
Proof   capture: a MEK-1305's message with histograms; not yet run beside a lab's own analyzer

Where things sit: sample O-4, else O-3 component 1 (O-3 is the mode, `^M^1`) · code R-3 component 4 · value R-4 · unit
R-5 component 1 (`10e3/uL^9^1`) · range R-6 (`4.00-9.00`, `-20`: up to 20) · flags R-7 (H L) · no status · time O-23,
the only one · control O-12 or H-12 Q.
Quirks: The name stands in P-5. C above the first R tell the mode of measuring and whose ranges they are. `HIST_…` rows
are pictures: BMP in base64, 14 kB each. L is `L|1`. ESR is millimetres in the hour. Its two corrected values, GR
(granulocytes), P-LCC, indices and the ESR's own curve numbers are no tests of the catalogue: shown, never reported; PDW
comes in %, which the catalogue's PDW is not.
Cannot: be asked or told anything; tell a control but by O-12 Q or H-12 Q; read the older MEK-6500 or 7300, which speak
another language.
"""

from dataclasses import replace

from drivers.driver import ASTM, Grade, Kind, Said, measurement
from drivers.engine.haematology import counts, unreported

TESTS = (
    counts(
        {
            "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC",
            "PLT": "PLT", "RDW-CV": "RDWCV", "RDW-SD": "RDWSD", "MPV": "MPV", "PCT": "PCT", "P-LCR": "PLCR",
            "NE#": "NEUTA", "LY#": "LYMPHA", "MO#": "MONOA", "EO#": "EOSA", "BA#": "BASOA",
            "NE%": "NEUTP", "LY%": "LYMPHP", "MO%": "MONOP", "EO%": "EOSP", "BA%": "BASOP",
        }
    )
    | {"ESR": measurement("ESR", "mm/h", {"mm": "1", "mm/h": "1"})}
    | unreported(
        (
            "ESR HCT corr", "ESR TEMP corr", "GR#", "GR%", "PDW", "P-LCC", "AMP", "SA", "AI", "t1/2", "MIN",
            "MentzerIndex", "RDWI", "NLR",
        )
    )
)  # fmt: skip


def unlisted(row: Said) -> Kind:
    """A histogram is a picture; anything else a number."""
    return Kind.IMAGE if row.code.startswith(("HIST_", "SCAT_")) else Kind.MEASUREMENT


DRIVER = replace(
    ASTM,
    name="nihonkohden_celltac",
    title="Nihon Kohden Celltac",
    grade=Grade.CAPTURE,
    sender=r"MEK-?\d",
    sample_id=("O.4.1", "O.3.1"),
    unit="R.5.1",
    observed_at="O.23",
    unlisted=unlisted,
    tests=TESTS,
)
