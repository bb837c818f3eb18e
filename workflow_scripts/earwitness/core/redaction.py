"""Keeping passwords and tokens out of what is written."""

import os
import re
import urllib.parse
from typing import Any

_SECRET = re.compile(
    r"token(?!s|iz)|secret|passw|credential|api_?key|access_?key|private_?key|signature|authori[sz]ation|(^|_)(key|auth|sig|pwd)$",
    re.IGNORECASE,
)
"""Names of settings that may hold a secret; "tokens" and "tokenizer" are a language model's own words."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables that the hub's client reads."""


def without_secrets(value: Any) -> Any:
    """A copy without entries whose key looks like a secret, and without user names, passwords or such queries in addresses."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if not _SECRET.search(str(key))}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, str) and "://" in value:
        return plain_address(value)
    return value


def plain_address(address: str) -> str:
    """An address without user name, password and those parts of its query whose name looks like a secret."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return address
    query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    public = [(key, item) for key, item in query if not _SECRET.search(key)]
    if public != query:
        parts = parts._replace(query=urllib.parse.urlencode(public))
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redacted(text: str) -> str:
    """Text with every address in it as `plain_address` writes it, and without the hub tokens of this environment or of the hub's form."""
    text = _ADDRESS.sub(lambda found: plain_address(found.group()), text)
    for token in filter(None, map(os.environ.get, TOKENS)):
        text = text.replace(token, "***")
    return _HUB_TOKEN.sub("***", text)
