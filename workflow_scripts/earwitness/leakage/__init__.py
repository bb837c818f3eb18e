"""The leakage audit: a registry of checks, what they look at, the certificate, the report, the gate."""
