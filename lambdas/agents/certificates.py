"""Check what a host registers with: a CSR for its device key, and its lane certificate."""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lambdas.domain.errors import CertificateError

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""A larger key makes verification slow enough to be abused by an unauthenticated caller."""
_ADVICE = "Create it with `crosshaul agent register`."
_PARSE_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)


def check_csr(pem: str) -> str:
    """Return the CSR, re-encoded as PEM.

    Raises:
        CertificateError: It cannot be read, is not signed by its own key, or its key is neither EC P-256 nor
            RSA of 2,048 to 8,192 bits.
    """
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        _check_key(key, "CSR")
        signed = csr.is_signature_valid
    except _PARSE_ERRORS as error:
        raise CertificateError("The CSR cannot be read.", _ADVICE) from error
    if not signed:
        raise CertificateError("The CSR is not signed by its own key.", _ADVICE)
    return csr.public_bytes(Encoding.PEM).decode()


def check_lane_certificate(pem: str, now: datetime) -> str:
    """Return the certificate, re-encoded as PEM; raises CertificateError if it is not usable now."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        _check_key(certificate.public_key(), "lane certificate")
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _PARSE_ERRORS as error:
        raise CertificateError("The lane certificate cannot be read.", _ADVICE) from error
    if not_after <= now:
        raise CertificateError(f"The lane certificate expired at {not_after:%Y-%m-%d %H:%M} UTC.", _ADVICE)
    if (not_before - now).days >= 1:
        raise CertificateError(
            f"The lane certificate is not valid before {not_before:%Y-%m-%d %H:%M} UTC.",
            "Check the clock of the host.",
        )
    return certificate.public_bytes(Encoding.PEM).decode()


def _check_key(key: object, owner: str) -> None:
    strong = isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    if strong or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return
    raise CertificateError(
        f"The key of the {owner} is not supported.",
        f"Use EC P-256, or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.",
    )
