"""What analyzers say: bytes to observations and back. Pure: no I/O, no clock; one analyzer family per file."""
