"""What a person may do. Each action checks the right, keeps the state table, writes its audit line, in one transaction.

Law: raises `NotAllowed` for the wrong role and `Refused` for the wrong moment, with a sentence that says what to do.
"""

from middleware.model import Actor, Role

SYSTEM = Actor(id=None, name="system", role=Role.ADMIN, username="system")
"""The program itself, for what no person did: audit lines of hand-overs and of results released by approved rules."""
