"""What a host may register with: a CSR for its device key, and its lane certificate."""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lambdas.domain.errors import CertificateError

MIN_RSA = 2048
MAX_RSA = 8192
"""Bits. Beyond it, a signature's check costs more than whoever knocks here is worth."""
_ADVICE = "Let `crosshaul agent register` make it."
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)


def check_csr(pem: str) -> str:
    """The CSR alone, PEM; raises CertificateError unless it is signed by its own key: EC P-256, or RSA of
    2,048 bits or more."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        _check_key(key, "CSR")
        signed = csr.is_signature_valid
    except _UNREADABLE as error:
        raise CertificateError("The CSR cannot be read.", _ADVICE) from error
    if not signed:
        raise CertificateError("The CSR is not signed by its own key.", _ADVICE)
    return csr.public_bytes(Encoding.PEM).decode()


def check_lane_certificate(pem: str, now: datetime) -> str:
    """The certificate alone, PEM; raises CertificateError if it cannot be used on the lane now."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        _check_key(certificate.public_key(), "lane certificate")
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _UNREADABLE as error:
        raise CertificateError("The lane certificate cannot be read.", _ADVICE) from error
    if ends <= now:
        raise CertificateError(f"The lane certificate ended {ends:%Y-%m-%d %H:%M} UTC.", _ADVICE)
    if (begins - now).days >= 1:
        raise CertificateError(
            f"The lane certificate begins {begins:%Y-%m-%d %H:%M} UTC.", "Is the host's clock right?"
        )
    return certificate.public_bytes(Encoding.PEM).decode()


def _check_key(key: object, whose: str) -> None:
    strong = isinstance(key, rsa.RSAPublicKey) and MIN_RSA <= key.key_size <= MAX_RSA
    if strong or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return
    raise CertificateError(
        f"The {whose} has a key of another kind.", f"Use EC P-256, or RSA of {MIN_RSA} to {MAX_RSA} bits."
    )
