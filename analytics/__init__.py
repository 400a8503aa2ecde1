"""The derived, rebuildable DuckDB warehouse and the questions it answers."""
