"""No secret lies in the tree or gets into the image: what looks like one is a value of development, named below."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHAPES = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}"),
    "private key as JWK": re.compile(r'"d"\s*:\s*"[A-Za-z0-9_-]{40,}"'),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}"),
    "token of a forge": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}|\bglpat-[A-Za-z0-9_-]{20}|\bpypi-[A-Za-z0-9_-]{50}"),
    "token of a service": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}|\b[sr]k_live_[A-Za-z0-9]{16,}"),
    "secret of a webhook": re.compile(r"\bwhsec_[A-Za-z0-9+/]{24,}"),
    "signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{40,}"),
    "password in a URL": re.compile(r"\b[a-z][a-z0-9+]*://[^\s/:@'\"`<>{}$%]+:([^\s/@'\"`<>{}$%]+)@"),
    "named secret": re.compile(
        r"(?i)(?:password|passwd|secret|api_?key|token)[\"']?[ \t]*[:=][ \t]*[\"']?([A-Za-z0-9+/_=-]{20,})(?![\w(.\[{])"
    ),
}

FOR_DEVELOPMENT = {
    "development-only-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": "deploy/dev.env; production refuses it",
    "password": "examples of URLs",
    "…": "examples of URLs",
    "secret": "a URL that a test takes apart",
    "nothing": "a URL that leads nowhere",
    "a-key-for-tests-only": "the sandbox's own tests",
    "a-provider-secret-for-tests-that-is-long": "the provider in payment's tests",
    "a-carrier-secret-for-tests-that-is-long": "the carrier in shipping's tests",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "the example in Standard Webhooks' own specification",
}


def looks_secret(text: str) -> list[tuple[str, str]]:
    """What in `text` looks like a secret: ``(shape, the value)``."""
    return [
        (shape, found[found.lastindex or 0]) for shape, pattern in SHAPES.items() for found in pattern.finditer(text)
    ]


PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEAx7",
    "private key as JWK": '{"kty": "OKP", "d": "' + "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" + '"}',
    "cloud key": "aws = AKIA" + "IOSFODNN7EXAMPLE",
    "token of a forge": "ghp_" + "a1B2" * 9,
    "token of a service": "sk_live_" + "a1B2" * 6,
    "secret of a webhook": "whsec_" + "MfKQ9r8G" * 4,
    "signed token": "eyJhbGciOiJFZDI1NTE5In0." + "eyJzdWIiOiJub2JvZHkifQ." + "a1B2" * 20,
    "password in a URL": "postgresql://order:" + "Zk3vPq@db/order",
    "named secret": "CARAVAN_SECRET=" + "q8Zr41mVbX0aLw7TyC3n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_planted_secret_is_found(shape: str) -> None:
    assert shape in [found for found, _ in looks_secret(f"some words\n{PLANTED[shape]}\nmore words\n")]


def test_no_secret_lies_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("the tree is no repository: nobody can say what is in it and what only lies there")
    found = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            found += [(name, *one) for one in looks_secret(text) if one[1] not in FOR_DEVELOPMENT]
    assert found == []


def test_no_environment_file_and_no_secret_gets_into_the_image() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    taken = [line.split()[1:-1] for line in recipe.splitlines() if line.startswith("COPY ") and "--from" not in line]
    assert {one for line in taken for one in line} == {"requirements/$REQUIREMENTS.txt", "shared", "services", "deploy"}
    assert not re.search(r"(?im)^(?:ARG|ENV|\s+)\s*\w*(?:SECRET|PASSWORD|TOKEN|KEY)\w*\b", recipe)
    kept_out = (ROOT / ".dockerignore").read_text().splitlines()
    assert kept_out.index("*") < kept_out.index("!deploy") < kept_out.index("deploy/*.env")
