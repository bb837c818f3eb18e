"""Where results come from: run records, archives, verification."""
