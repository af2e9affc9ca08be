"""Every SQL statement of the lab, one function each, named by a verb. Pages read through `<page>_view` modules."""

from middleware.store.core import (
    audit,
    audit_broken_at,
    change,
    changes,
    count,
    fitted,
    insert_into,
    next_serial,
    one,
    put,
    table,
    touch,
)

__all__ = [
    "audit",
    "audit_broken_at",
    "change",
    "changes",
    "count",
    "fitted",
    "insert_into",
    "next_serial",
    "one",
    "put",
    "table",
    "touch",
]
