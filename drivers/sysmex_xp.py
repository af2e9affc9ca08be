"""Sysmex XP-100 and XP-300, haematology with a three-part differential. LIS2-A2 over RS-232 (9600 8N1) or the network.

Manual  Sysmex, ASTM host interface of the XP series (E1394-97)
Proof   capture: an XP-100's message, masked values; not yet run beside a lab's own analyzer

Where things sit: sample O-4 component 3 of `rack^position^id^how it was read` (O-3 stays empty), right-justified in 15
characters · code R-3 component 5 (component 6 is the dilution) · value R-4, right-justified with blanks, with a decimal
comma by the language setting: it is read as a point, R-4 as sent is kept · unit R-5 · flags R-7 (N L H, > < outside
linearity, W and A doubt) · no range, no status · R-11 is fifteen blanks · time R-13; H has none · control O-12 Q or an
id that begins QC-. The whole message comes in one frame.
Quirks: `---.-` with flag A is no result; `+++.+` is above what it counts. Id 0 is a tube nobody named: it goes to the
tray. MXD is what is neither lymphocyte nor neutrophil: no test of the catalogue, shown and never reported.
Cannot: be asked or told anything; send pictures; give ranges. KX-21 speaks another language.
"""

from dataclasses import replace

from drivers.driver import Grade
from drivers.engine import sysmex
from drivers.engine.haematology import counts, unreported
from drivers.engine.points import pointed

TESTS = counts(
    {
        "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
        "LYM%": "LYMPHP", "NEUT%": "NEUTP", "LYM#": "LYMPHA", "NEUT#": "NEUTA", "RDW-SD": "RDWSD", "RDW-CV": "RDWCV",
        "PDW": "PDW", "MPV": "MPV", "P-LCR": "PLCR", "PCT": "PCT",
    }
) | unreported(("MXD%", "MXD#", "W-SCR", "W-MCR", "W-LCR", "W-SCC", "W-MCC", "W-LCC"))  # fmt: skip

DRIVER = replace(
    sysmex.FORM,
    name="sysmex_xp",
    title="Sysmex XP",
    grade=Grade.CAPTURE,
    sender=r"XP[- ]?\d",
    masked=r"[-.,*]{2,}|[+.,]{2,}",
    tests=TESTS,
    retells=pointed,
)
