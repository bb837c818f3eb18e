"""Psychometric functions: fits, thresholds and their status, sensitivity."""
