"""The key: one per user, readable by nobody else, with no name in it, and replaceable."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance import identity as module
from kinetoscope.app.provenance.credentials import read_credentials
from kinetoscope.app.provenance.identity import identity_file, make_identity, own_identity
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import GeneratedVideoWriter

Make = Callable[..., GeneratedVideoWriter]


@pytest.fixture(autouse=True)
def no_key_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


def test_the_key_is_made_once_and_only_its_owner_can_read_it() -> None:
    first = own_identity()
    assert first.path == identity_file()
    assert stat.S_IMODE(identity_file().stat().st_mode) == 0o600
    assert own_identity() == first
    assert "PRIVATE" in first.key and "PRIVATE" not in first.chain


def test_nothing_in_the_certificates_tells_who_when_or_where() -> None:
    one, other = (x509.load_pem_x509_certificates(make_identity().chain.encode()) for _ in range(2))
    for ours, theirs in zip(one, other):
        assert ours.subject == theirs.subject
        assert ours.issuer == theirs.issuer
        assert ours.not_valid_before_utc == theirs.not_valid_before_utc
        assert ours.not_valid_after_utc == theirs.not_valid_after_utc
        assert ours.serial_number != theirs.serial_number


def test_where_the_key_cannot_be_kept_one_lasts_for_the_run(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    said: list[str] = []
    writer = make(tmp_path / "clip.mp4", say=said.append)
    assert len(said) == 1 and "a key that is not kept" in said[0]
    assert read_credentials(writer.path).state == "valid"


def test_processes_that_start_at_once_use_one_key() -> None:
    code = "from kinetoscope.app.provenance.identity import own_identity as own; print(own().key)"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


def test_a_damaged_key_names_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    identity_file().parent.mkdir(parents=True)
    identity_file().write_text("nonsense")
    assert main(["identity"]) == 2
    assert "delete it, and a new key is made" in capsys.readouterr().err


def test_the_command_shows_exports_and_replaces(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["identity"]) == 0
    first = own_identity()
    shown = capsys.readouterr().out
    assert first.fingerprint in shown
    assert "not who made it" in " ".join(shown.split()).replace("proves not who", "not who")
    assert "links all videos" in " ".join(shown.split())
    assert main(["identity", "export", "--out", "mine.pem"]) == 0
    assert Path("mine.pem").read_text() == first.chain
    assert main(["identity", "new"]) == 0
    assert own_identity().fingerprint != first.fingerprint
    assert stat.S_IMODE(identity_file().stat().st_mode) == 0o600
    capsys.readouterr()
    assert main(["identity", "export"]) == 2
    assert "give --out FILE with export" in capsys.readouterr().err


def certificate(key: object, folder: Path, name: str = "Ada's studio") -> tuple[str, str]:
    """Files of a chain and a key as an authority would give them."""
    authority = ec.generate_private_key(ec.SECP256R1())
    files = []
    for own, common in ((key, name), (authority, "Root of Ada's studio")):
        is_root = own is authority
        subject, issuer = (
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, each),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ada"),
                ]
            )
            for each in (common, "Root of Ada's studio")
        )
        usage = [not is_root, *[False] * 4, is_root, is_root, False, False]
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(own.public_key())  # type: ignore[attr-defined]
            .serial_number(x509.random_serial_number())
            .not_valid_before(module.FIRST_DAY)
            .not_valid_after(module.LAST_DAY)
            .add_extension(x509.BasicConstraints(is_root, None), True)
            .add_extension(x509.KeyUsage(*usage), True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(own.public_key()),  # type: ignore
                False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False
            )
        )
        if not is_root:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            built = built.add_extension(purpose, False)
        files.append(built.sign(authority, hashes.SHA256()))
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in files)
    secret = key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(secret)
    return str(folder / "chain.pem"), str(folder / "key.pem")


KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_real_certificate_signs(tmp_path: Path, make: Make, kind: str) -> None:
    files = certificate(KEYS[kind](), tmp_path)
    writer = make(tmp_path / "clip.mp4", disclosure=Disclosure(sign_with=files))
    found = read_credentials(writer.path, Path(files[0]).read_text())
    assert (found.state, found.signer) == ("trusted", "Ada's studio, Ada")
    assert not identity_file().exists()


def test_wrong_certificates_are_refused_before_anything_is_drawn(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = here / "a", here / "b"
    first.mkdir()
    second.mkdir()
    chain, _ = certificate(KEYS["P-256"](), first)
    _, other_key = certificate(KEYS["P-256"](), second)
    nonsense = here / "nonsense.pem"
    nonsense.write_text("nonsense")
    for files, message in (
        ((chain, other_key), "does not belong to the first certificate"),
        ((str(nonsense), other_key), "holds no certificates"),
        ((chain, str(nonsense)), "holds no private key"),
        ((chain, "no.pem"), "'no.pem' does not exist"),
    ):
        assert main(["sample", "a ball", "-o", "ball.mp4", "--sign-with", *files]) == 2
        assert message in capsys.readouterr().err
    assert not os.path.exists("ball.mp4")
