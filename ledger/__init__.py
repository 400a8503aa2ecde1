"""System of record: states, versions, gates, decisions, effects and the append-only audit trail."""
