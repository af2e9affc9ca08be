"""Siemens Hematology 580 through the Atellica Data Manager, haematology. LIS2-A over TCP.

Manual  Siemens, Atellica Data Manager LIS output (LIS2-A), as the captured system sends it
Proof   capture: a message with comments and string rows; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1 · code R-3 component 4 of nine (`^^^CRC^^^^^N`; component 9 N a number, S a
string) · value R-4 · no unit, flag, range or status · time R-12 · control O-12 or H-12 Q. The sender is named in H-9,
H-5 is empty.
Quirks: C below an R is the analyzer's message on it, in the language of the analyzer, `&X0A&` a new line: kept as sent.
A string row repeats its own code (RBC_PLTO) and says that the analyzer took another way: nothing a patient is told. No
unit is sent, so the data manager must send the usual ones: 10*3/uL, 10*6/uL, g/dL, %, fL, pg; in others haemoglobin,
haematocrit and MCHC are out of every limit and held. PLTOPT are platelets counted by light, TNC all nucleated cells,
RET cells in parts: shown, never reported.
Cannot: be asked or told anything; tell a control but by O-12 Q or H-12 Q.
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Kind, Message, Said
from drivers.engine.haematology import counts, unreported
from drivers.wire import lis2a

SENDER = "ATELLICA DATA MANAGER"
TESTS = counts(
    {
        "WBC": "WBC", "RBC": "RBC", "HGB": "HB", "HCT": "HCT", "MCV": "MCV", "MCH": "MCH", "MCHC": "MCHC", "PLT": "PLT",
        "RDWCV": "RDWCV", "RDWSD": "RDWSD", "MPV": "MPV", "PDW": "PDW", "PCT": "PCT", "RET%": "RETIC",
        "NEU#": "NEUTA", "LYM#": "LYMPHA", "MON#": "MONOA", "EOS#": "EOSA", "BAS#": "BASOA",
        "NEU%": "NEUTP", "LYM%": "LYMPHP", "MON%": "MONOP", "EOS%": "EOSP", "BAS%": "BASOP",
    },
    {"": {"": "1"}},
) | unreported(
    (
        "CRC", "IRF", "MFI", "MRV", "RET#", "RETH%", "RETL%", "RETM%", "RHCC", "PIC", "ALY#", "ALY%", "IMG#", "IMG%",
        "IML#", "IML%", "IMM#", "IMM%", "LIC#", "LIC%", "NRBC#", "NRBC%", "MAC%", "MIC%", "TNC", "PLTOPT",
    )
)  # fmt: skip


def unlisted(row: Said) -> Kind:
    """A row whose value is its own code is a string of the analyzer's; anything else is a number."""
    return Kind.DETAIL if row.value == row.code else Kind.MEASUREMENT


def settled(decoded: Decoded, message: Message) -> Decoded:
    """The sender is H-9; another one is a problem."""
    sender = lis2a.parse(message.body)[0]["9"] or decoded.sender
    if (sender or "").upper().startswith(SENDER):
        return replace(decoded, sender=sender)
    odd = f"H-9 says {(sender or '')[:40]!r}, but this line is configured for {DRIVER.title}"
    return replace(decoded, sender=sender, problems=(odd, *decoded.problems))


DRIVER = replace(
    ASTM,
    name="siemens_hematology580",
    title="Siemens Hematology 580",
    grade=Grade.CAPTURE,
    observed_at="R.12",
    unlisted=unlisted,
    tests=TESTS,
    settles=settled,
)
