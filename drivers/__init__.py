"""What analyzers say: bytes ⇄ observations. Pure: no I/O, no clock, standard library only; one analyzer family per file."""
