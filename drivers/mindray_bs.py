"""Mindray BS-200E/230/240/380/430/480/800, clinical chemistry, in ASTM mode. ASTM 1394-97 over RS-232 or TCP.

Manual  Mindray, host interface manual of the BS series (ASTM mode); vendor text is not public
Proof   capture: results and a query of a BS-430; not yet run beside a lab's own analyzer

Where things sit: the dialect that Mindray's analyzers share (engine/mindray_astm): sample O-4 · code R-3 component 1 ·
value R-4 component 1 with six decimals · unit R-5 · flag R-7 · range R-6, `^` for none · status R-9 · time R-12 ·
control H-12 QR.
Quirks: H-12 is the kind of message: PR results, QR controls, CR calibrations, RQ query; answers SA (order) or QA
(nothing known). H-5 is misspelt: `Mindry^^`. Values are as measured: also negative ones, full precision; the
laboratory's decimals are the catalogue's. Test names are set by the lab: TESTS is the usual naming,
config/analyzers.toml overrides it. One glucose method serves all glucose tubes. Of runs of one test the latest that has
a value is reported, a number before an interpretation.
Cannot: tell the control's test where QR names none (those rows stay without a code).
"""

from dataclasses import replace

from drivers.driver import Grade
from drivers.engine.chemistry import USUAL_NAMES, chemistry
from drivers.engine.mindray_astm import FORM

DRIVER = replace(
    FORM,
    name="mindray_bs",
    title="Mindray BS",
    grade=Grade.CAPTURE,
    tests=chemistry(USUAL_NAMES),
)
