"""Beckman Coulter Access 2 and UniCel DxI 600/800, immunoassay. LIS2-A2 over RS-232 or TCP.

Manual  Beckman Coulter, Access Immunoassay Systems LIS Vendor Information (C03112)
Proof   capture: results of an Access 2 and a DxI 800; not yet run beside a lab's own analyzer

Where things sit: sample O-3 (O-4 `^rack^position`) · code R-3 component 4, the name of the test on the analyzer,
component 5 the replicate (`^^^PCT^1`; O-5 says how many) · value R-4 · unit R-5 · flags R-7 (N L H) · range R-6, not
sent · status R-9 · time R-13 · a C record under the result names the analyzer's own result flags (`CEX;PEX`:
calibration and pack expired) · control O-12 Q.
Quirks: The sender is ACCESS and the serial number on a DxI too. Replicates are reported each: the rules hold a second
result. A query is `Q|1|^id||ALL`; a tube without orders is answered by nothing at all. Tests are named on the analyzer:
TESTS is the usual naming, config/analyzers.toml overrides it.
Cannot: average replicates; give ranges (the analyzer sends none).
"""

from collections.abc import Sequence
from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, WorkOrder, known
from drivers.engine.immuno import assays
from drivers.engine.replies import header, order, told
from drivers.wire import lis2a
from drivers.wire.lis2a import Value

TESTS = assays(
    {
        "TSH": "TSH TSH3 hTSH TSH3-L", "T3": "TotT3 TT3 T3", "T4": "TotT4 TT4 T4", "FT3": "FreeT3 FT3 FRT3",
        "FT4": "FreeT4 FT4 FRT4", "FERR": "Ferritin FER", "B12": "VitB12 B12", "VITD": "25OHVitD VitD 25(OH)D",
    }
) | dict.fromkeys(
    ("PCT", "Testo", "TotBhCG", "HCG5", "hFSH", "hLH", "PRL", "CEA", "AFP", "PSA-Hyb"), known()
)  # fmt: skip


def answer(query: Decoded, orders: Sequence[WorkOrder]) -> list[bytes] | None:
    """P and O with the specimen for each order, L|1|F; nothing at all when there is no order."""
    return told(header(lis2a.STANDARD, query.sender), orders, ordered, end="F") if orders else None


def ordered(number: int, work: WorkOrder) -> list[list[Value]]:
    """P and O of one order."""
    sent = order(1, work)
    sent[15] = work.specimen or "Serum"
    return [["P", str(number), work.patient_id], sent]


DRIVER = replace(
    ASTM,
    name="beckman_access",
    title="Beckman Coulter Access / DxI",
    grade=Grade.CAPTURE,
    sender=r"ACCESS",
    aspect="R.3.5",
    tests=TESTS,
    answers=answer,
)
