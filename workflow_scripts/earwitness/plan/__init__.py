"""The study plan: what follows from a configuration, and where it is written."""
