"""The leakage audit: a registry of checks, the certificate, the gate."""
