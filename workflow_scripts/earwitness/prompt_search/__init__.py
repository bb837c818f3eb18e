"""Searching for a better question without being fooled by the search."""
