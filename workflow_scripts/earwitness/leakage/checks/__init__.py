"""The checks of the audit, a family of checks per module."""
