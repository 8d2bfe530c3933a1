"""Certificate authority for one hub: bytes in, bytes out, no files. Needs the library `cryptography`.

    CA ──signs──▶ hub        for its names (SAN), and for servers only
        ╰───────▶ worker, producer, admin      for clients only; the role is the OU of the subject

A client's certificate cannot stand for a hub, nor a hub's for a client. EC keys on P-256, since every TLS library has them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=825)  # the longest that Apple's rules for private authorities take, and so everybody's
EARLY = timedelta(hours=1)  # before now, since the clocks of two machines differ

Pems = tuple[bytes, bytes]  # a certificate and its key


class Authority:
    """A CA and its private key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, today: datetime) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject("ca")
        builder = _begin(subject, key.public_key(), today, today + CA_LIFE).issuer_name(subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def load(cls, pems: Pems) -> Authority:
        """Load a CA. Raises ValueError if it is not one of ours."""
        try:
            key = load_pem_private_key(pems[1], None)
        except TypeError as error:  # it has a password
            raise ValueError(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not of an elliptic curve")  # noqa: TRY004 - what a file holds is a value
        certificate = x509.load_pem_x509_certificate(pems[0])
        if certificate.public_key() != key.public_key():
            raise ValueError("the key is that of another certificate")
        return cls(certificate, key)

    def pems(self) -> Pems:
        return _pems(self._certificate, self._key)

    def issue(self, role: str, hosts: Sequence[str], today: datetime) -> tuple[Pems, datetime]:
        """Return a new certificate, its key, and its last day. hosts: names of a hub; none for a client's certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(today + LIFE, self._certificate.not_valid_after_utc)
        use = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _begin(_subject(role), key.public_key(), today, until).issuer_name(self._certificate.subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False).add_extension(ours, critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
        return _pems(builder.sign(self._key, SHA256()), key), until


def names_of(pem: bytes) -> list[str]:
    """Return the names and addresses that a hub's certificate is for."""
    extensions = x509.load_pem_x509_certificate(pem).extensions
    found = [each.value for each in extensions if isinstance(each.value, x509.SubjectAlternativeName)]
    return [str(name.value) for names in found for name in names]


def _begin(subject: x509.Name, key: ec.EllipticCurvePublicKey, today: datetime, until: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(today - EARLY).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _subject(role: str) -> x509.Name:
    parts = {NameOID.ORGANIZATION_NAME: "crawler", NameOID.ORGANIZATIONAL_UNIT_NAME: role, NameOID.COMMON_NAME: role}
    return x509.Name([x509.NameAttribute(name, value) for name, value in parts.items()])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(host: str) -> x509.GeneralName:
    """Return a host as a name of a certificate. Raises ValueError for one that is neither an address nor a host name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode("ascii"))


def _pems(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pems:
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
