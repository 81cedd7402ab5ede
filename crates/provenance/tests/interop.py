"""Drives the reference implementation of OpenSSF Model Signing for interop.rs.

keys FOLDER                                     keys of three curves in three forms, and certificate chains
sign WHAT KEYS NAME MODEL SIGNATURE HASH [SIZE] WHAT is key, password or certificate; SIZE makes shards
verify WHAT KEYS NAME MODEL SIGNATURE [HASH]    HASH only where the reference cannot guess its own name for it
old KEYS NAME MODEL SIGNATURE                   a signature as release 0.2 made it
"""

import base64
import datetime
import hashlib
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = b"a password of several words"
CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
PEM = serialization.Encoding.PEM


def write(path, private, form, encryption=serialization.NoEncryption()):
    path.write_bytes(private.private_bytes(PEM, form, encryption))


def certificate(subject, key, issuer, issuer_key, ca):
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True
        )
    )
    if not ca:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(PEM)


def keys(folder):
    folder = pathlib.Path(folder)
    for name, curve in CURVES.items():
        key = ec.generate_private_key(curve)
        write(folder / f"{name}.pem", key, serialization.PrivateFormat.PKCS8)
        write(folder / f"{name}.sec1.pem", key, serialization.PrivateFormat.TraditionalOpenSSL)
        secret = serialization.BestAvailableEncryption(PASSWORD)
        write(folder / f"{name}.secret.pem", key, serialization.PrivateFormat.PKCS8, secret)
        public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub.pem").write_bytes(public)
        root_key = rsa.generate_private_key(65537, 2048) if name == "p256" else ec.generate_private_key(curve)
        middle_key = ec.generate_private_key(ec.SECP384R1())
        root = certificate("test root", root_key, "test root", root_key, True)
        middle = certificate("test authority", middle_key, "test root", root_key, True)
        own = certificate("test signer", key, "test authority", middle_key, False)
        (folder / f"{name}.root.pem").write_bytes(root)
        (folder / f"{name}.middle.pem").write_bytes(middle)
        (folder / f"{name}.cert.pem").write_bytes(own)


def hashing_config(algorithm, size=None):
    from model_signing import hashing

    config = hashing.Config()
    if size:
        return config.use_shard_serialization(hashing_algorithm=algorithm, shard_size=int(size))
    return config.use_file_serialization(hashing_algorithm=algorithm)


def sign(what, folder, name, model, signature, algorithm, size=None):
    from model_signing import signing

    folder = pathlib.Path(folder)
    config = signing.Config()
    if what == "certificate":
        config.use_certificate_signer(
            private_key=folder / f"{name}.pem",
            signing_certificate=folder / f"{name}.cert.pem",
            certificate_chain=[folder / f"{name}.middle.pem"],
        )
    elif what == "password":
        config.use_elliptic_key_signer(private_key=folder / f"{name}.secret.pem", password=PASSWORD)
    else:
        config.use_elliptic_key_signer(private_key=folder / f"{name}.pem")
    config.set_hashing_config(hashing_config(algorithm, size)).sign(pathlib.Path(model), pathlib.Path(signature))


def verify(what, folder, name, model, signature, algorithm=None):
    from model_signing import verifying

    folder = pathlib.Path(folder)
    config = verifying.Config()
    if what == "certificate":
        config.use_certificate_verifier(certificate_chain=[folder / f"{name}.root.pem"])
    else:
        config.use_elliptic_key_verifier(public_key=folder / f"{name}.pub.pem")
    if algorithm:
        config.set_hashing_config(hashing_config(algorithm))
    config.verify(pathlib.Path(model), pathlib.Path(signature))


def old(folder, name, model, signature):
    from model_signing._signing import sign_sigstore_pb

    folder, model = pathlib.Path(folder), pathlib.Path(model)
    key = serialization.load_pem_private_key((folder / f"{name}.pem").read_bytes(), None)
    files = sorted(p for p in model.rglob("*") if p.is_file())
    subjects = [
        {"name": str(p.relative_to(model)), "digest": {"sha256": hashlib.sha256(p.read_bytes()).hexdigest()}}
        for p in files
    ]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://model_signing/Digests/v0.1",
        "predicate": {"unused": "Unused, just passed due to API requirements"},
    }
    payload = json.dumps(statement, indent=2).encode()
    raw = key.sign(sign_sigstore_pb.pae_compat(payload), ec.ECDSA(hashes.SHA256()))
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    packed = lambda content: base64.b64encode(content).decode()
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {"rawBytes": packed(public), "keyDetails": "PKIX_ECDSA_P256_SHA_256"},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": packed(payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": packed(raw), "keyid": ""}],
        },
    }
    pathlib.Path(signature).write_text(json.dumps(bundle))


if __name__ == "__main__":
    {"keys": keys, "sign": sign, "verify": verify, "old": old}[sys.argv[1]](*sys.argv[2:])
