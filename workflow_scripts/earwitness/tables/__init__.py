"""Schemas of every table that a rule writes, one module per domain, and how tables are written and read."""
