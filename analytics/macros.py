"""What an analyst can ask: views and table macros as data, created in the warehouse and listed by the CLI alike.

Lengths come in seconds. Items that are still open count up to the moment of the last refresh (`refresh.refreshed_at`)
and are never left out. `per` groups; `since` and `until` pick, half-open, by the time an item began.
"""

from __future__ import annotations

from typing import Final

from analytics.duration_macros import ALL_STAYS, CYCLE_TIME, DEADLINES, LEAD_TIME, PUBLICATION_TIME, STATE_TIME
from analytics.flow_macros import AGEING, THROUGHPUT, WIP
from analytics.macro import Macro

MACROS: Final[tuple[Macro, ...]] = (
    ALL_STAYS,
    LEAD_TIME,
    PUBLICATION_TIME,
    CYCLE_TIME,
    STATE_TIME,
    DEADLINES,
    WIP,
    AGEING,
    THROUGHPUT,
)
"""In the order in which they are created: a later one may use an earlier one."""


def macro_statements() -> tuple[str, ...]:
    """The statements that create every view and macro, or replace an older one."""
    return tuple(macro.statement for macro in MACROS)
