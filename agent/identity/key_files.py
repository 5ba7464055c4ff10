"""Whether the files of keys and certificates can be used, and if not, which one and why."""

import ssl
from pathlib import Path


class KeyFileError(Exception):
    """A file of keys cannot be used; the message names it."""


def read_key_file(path: Path) -> str:
    """Return the content of a file of ASCII text.

    Raises KeyFileError if it is missing, empty, unreadable or something else.
    """
    try:
        if not path.is_file():  # reading a FIFO would wait for its other end
            raise KeyFileError(f"{path} is {'not a file' if path.exists() else 'missing'}")
        content = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise KeyFileError(f"{path} is empty")
    if not content.isascii() or b"\0" in content:
        raise KeyFileError(f"{path} is damaged")
    return content.decode("ascii").strip()


def require_pair(certificate: Path, key: Path) -> None:
    """Raise KeyFileError if a certificate and its private key cannot be used together."""
    for path in (certificate, key):
        read_key_file(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, lambda: b"")
    except OSError as error:  # ssl.SSLError is one
        raise KeyFileError(f"{key} or {certificate} is damaged, or they do not belong together") from error


def require_authorities(path: Path) -> None:
    """Raise KeyFileError if a file of certification authorities cannot be used."""
    read_key_file(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        raise KeyFileError(f"{path} is damaged") from error
