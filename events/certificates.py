"""A certificate's name that both sides can tell from its bytes."""

import hashlib
import ssl


def fingerprint(pem: str) -> str:
    """SHA-256 of the certificate, hex: what IoT Core calls a certificate's id. ValueError if it is no PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
