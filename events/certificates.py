"""Fingerprints of certificates."""

import hashlib
import ssl


def fingerprint(pem: str) -> str:
    """Return the certificate's SHA-256, hex, which is its id in IoT Core; ValueError if it is not PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
