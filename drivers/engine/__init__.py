"""How a filled-in form reads a message: one engine for ASTM records, one for HL7 segments."""
