"""What a host may register with: a CSR for its device key, and its lane certificate."""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lambdas.domain.errors import CertificateError

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Bits. Beyond it, a signature's check costs more than whoever knocks here is worth."""
_ADVICE = "Let `crosshaul agent register` make it."
_PARSE_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)


def check_csr(pem: str) -> str:
    """The CSR alone, PEM; raises CertificateError unless it is signed by its own key: EC P-256, or RSA of
    2,048 bits or more."""
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
    """The certificate alone, PEM; raises CertificateError if it cannot be used on the lane now."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        _check_key(certificate.public_key(), "lane certificate")
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _PARSE_ERRORS as error:
        raise CertificateError("The lane certificate cannot be read.", _ADVICE) from error
    if not_after <= now:
        raise CertificateError(f"The lane certificate ended {not_after:%Y-%m-%d %H:%M} UTC.", _ADVICE)
    if (not_before - now).days >= 1:
        raise CertificateError(
            f"The lane certificate begins {not_before:%Y-%m-%d %H:%M} UTC.", "Is the host's clock right?"
        )
    return certificate.public_bytes(Encoding.PEM).decode()


def _check_key(key: object, owner: str) -> None:
    strong = isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    if strong or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return
    raise CertificateError(
        f"The {owner} has a key of another kind.",
        f"Use EC P-256, or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.",
    )
