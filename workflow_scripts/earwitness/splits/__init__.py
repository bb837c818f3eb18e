"""Which part each source goes to."""
