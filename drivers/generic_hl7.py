"""Any well-behaved analyzer: sample id in OBR-3, test code in OBX-3 component 1. HL7 v2 over MLLP.

Manual  HL7 v2.3.1 to 2.5.1 chapter 7 (ORU^R01, OUL^R22); the analyzer's own manual must agree: check before connecting
Proof   manual: the standard itself

Where things sit: sample OBR-3 component 1, where that is empty SPM-2 (OUL^R22), its first part · code OBX-3 component
1, name component 2 · value OBX-5 whole · unit OBX-6 component 1 · range OBX-7 · flags OBX-8 · status OBX-11 · time
OBX-14, else OBX-19, else OBR-7 · control MSH-11 Q or SPM-11 Q.
Quirks: A query is QBP^Q11 of 2.5.1 with the tube in QPD-3; the answer is RSP^K11, then OML^O33 (engine/law), which may
come without a question too (LAB-28). A code is taken as a catalogue code or a LOINC when it equals one; anything else
is mapped in config/analyzers.toml.
Cannot: answer other queries; know suspects or reruns of an analyzer it does not know.
"""

from dataclasses import replace

from drivers.driver import HL7, Grade, Kind, Said
from drivers.engine.law import answerer, pusher, settles


def unlisted(row: Said) -> Kind:
    """Encapsulated data (ED, RP) is a picture; everything else a measurement."""
    return Kind.IMAGE if row.type in ("ED", "RP") else Kind.MEASUREMENT


DRIVER = replace(
    HL7,
    name="generic_hl7",
    title="any analyzer speaking HL7 v2",
    grade=Grade.MANUAL,
    sample_id=("OBR.3.1", "SPM.2.1.1"),
    code_name="OBX.3.2",
    observed_at=("OBX.14", "OBX.19", "OBR.7"),
    control=(("MSH.11", "Q"), ("SPM.11.1", "Q")),
    query_id="QPD.3.1.1",
    codes_are_catalogue=True,
    unlisted=unlisted,
    settles=settles,
    answers=answerer("L"),
    pushes=pusher("L"),
)
