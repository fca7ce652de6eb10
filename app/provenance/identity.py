"""The key that signs content credentials: made by itself at the first use, and naming nobody.

A self-made key proves that a file was not changed since it was signed, and that two files were
signed with one key. It does not prove who holds the key: anybody can make such a key, so readers
report it as valid and not as trusted. And it links all videos of one person to each other until
another key is made.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...files.atomic import whole_path

NAME = "identity.pem"  # key and certificates in one file, so that they always belong together
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
END = "-----END CERTIFICATE-----\n"
KEY_START = "-----BEGIN PRIVATE KEY-----"
COMMON_NAME = "Kinetoscope self-made key"
ORGANIZATION = "nobody in particular"
# The same dates in all certificates: when a key was made would tell something about its owner.
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
LAST_DAY = datetime(2124, 12, 31, tzinfo=UTC)
ONLY_OWNER = 0o600


@dataclass(frozen=True)
class Identity:
    """What signs.

    chain: certificates as PEM, the signer's own first; key: its private key as unencrypted PKCS#8
    PEM; algorithm: as C2PA calls it; path: where it is kept, None for one that lasts a run.
    """

    chain: str
    key: str
    algorithm: str = "ES256"
    path: Path | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the signer's own certificate."""
        return fingerprints(self.chain)[0]


def identity_file() -> Path:
    """Where the key lies: in the user's configuration folder."""
    if sys.platform == "win32":
        base = os.environ.get("APPDATA")
    else:
        base = os.environ.get("XDG_CONFIG_HOME")
    return Path(base or Path.home() / ".config") / "kinetoscope" / NAME


Say = Callable[[str], object]


def own_identity(say: Say = print) -> Identity:
    """The user's key, made if there is none yet; `say` gets a line where it cannot be kept.

    Raises:
        ValueError: the file of the key is damaged.
    """
    try:
        path = identity_file()
    except RuntimeError:  # no home folder is known
        return _for_this_run(say, "there is no home folder")
    try:
        return read_identity(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        return _for_this_run(say, f"'{path}' cannot be read: {error.strerror}")
    try:
        return _first_identity(path)
    except OSError as error:
        return _for_this_run(say, f"'{path}' cannot be written: {error.strerror}")


def _for_this_run(say: Say, reason: str) -> Identity:
    say(f"{reason}; the videos of this run are signed with a key that is not kept")
    return make_identity()


def read_identity(path: Path) -> Identity:
    """ValueError, with the way out, if it is none."""
    text = path.read_text(encoding="ascii", errors="replace")
    start = text.find(CERTIFICATE)
    if start < 0 or KEY_START not in text[:start]:
        raise ValueError(
            f"'{path}' is damaged: it holds no key and certificate; delete it, and a new key is "
            "made at the next use"
        )
    return Identity(text[start:], text[:start], path=path)


def keep_identity(identity: Identity, path: Path) -> Identity:
    """Store a key where only its owner can read it."""
    with whole_path(path) as beside:
        os.chmod(beside, ONLY_OWNER)
        beside.write_text(identity.key + identity.chain, encoding="ascii")
    return read_identity(path)


def _first_identity(path: Path) -> Identity:
    """The key of a user who has none; of two processes that make one, both use the first."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        return read_identity(path) if path.exists() else keep_identity(make_identity(), path)


def make_identity() -> Identity:
    """A new key: ECDSA on P-256, and a certificate under a root whose key is thrown away."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    root_key = ec.generate_private_key(ec.SECP256R1())
    own_key = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Kinetoscope self-made root", root_key, root_key)
    own = _certificate(COMMON_NAME, own_key, root_key)
    chain = "".join(each.public_bytes(Encoding.PEM).decode() for each in (own, root))
    key = own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(chain, key.decode())


def _certificate(name: str, key: Any, issuer_key: Any) -> Any:
    """As C2PA wants it of a signer (`key` differs from `issuer_key`) and of a root."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    is_root = key is issuer_key
    issuer_name = name if is_root else "Kinetoscope self-made root"
    subject, issuer = (
        x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, each),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            ]
        )
        for each in (name, issuer_name)
    )
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    issuer_public = issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST_DAY)
        .not_valid_after(LAST_DAY)
        .add_extension(x509.BasicConstraints(is_root, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False
        )
    )
    if not is_root:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def certified_identity(chain_file: str, key_file: str) -> Identity:
    """A real certificate and its key, from two PEM files.

    Raises:
        ValueError: they cannot be read, do not belong together, or are of a kind that C2PA does
            not know.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    try:
        chain = x509.load_pem_x509_certificates(Path(chain_file).read_bytes())
    except ValueError:
        raise ValueError(f"'{chain_file}' holds no certificates as PEM") from None
    try:
        key = load_pem_private_key(Path(key_file).read_bytes(), password=None)
    except TypeError:
        raise ValueError(
            f"the key in '{key_file}' has a password; give a key without one, such as `openssl "
            "pkcs8 -topk8 -nocrypt` writes"
        ) from None
    except ValueError:
        raise ValueError(f"'{key_file}' holds no private key as PEM") from None
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*public) != chain[0].public_key().public_bytes(*public):
        raise ValueError(
            f"the key in '{key_file}' does not belong to the first certificate in '{chain_file}'"
        )
    texts = [each.public_bytes(Encoding.PEM).decode() for each in chain]
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Identity("".join(texts), secret, _algorithm(key, key_file))


def _algorithm(key: Any, file: str) -> str:
    """What C2PA calls the signatures of a key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    curves = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "PS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    raise ValueError(
        f"the key in '{file}' cannot sign credentials; give one on a NIST curve (P-256, P-384, "
        "P-521), Ed25519, or RSA of 2048 bits or more"
    )


def fingerprints(chain: str) -> list[str]:
    """SHA-256 of each certificate of a PEM chain."""
    parts = [CERTIFICATE + part for part in chain.split(CERTIFICATE)[1:]]
    return [hashlib.sha256(ssl.PEM_cert_to_DER_cert(part.strip())).hexdigest() for part in parts]


def serial_number(chain: str) -> str:
    """Of the signer's own certificate, as C2PA readers print it."""
    from cryptography import x509

    return str(x509.load_pem_x509_certificates(chain.encode())[0].serial_number)
