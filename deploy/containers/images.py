"""The images that our files name: those there, those a registry has, or stand-ins made from Debian 13's packages.

A stand-in has the name of what it stands in for, a label that says what it is made of, and the official image's
settings as far as we use them (`images/`). It is made anew when its recipe changes. It carries the machine's own ways
to packages (mirror, proxies, certificates, package index), so it is for this machine only: never push one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from deploy.containers.engine import Engine, EngineError, default_home, run
from deploy.servers import ServerError, ensure_installed

ROOT = Path(__file__).parents[2]
RECIPES = Path(__file__).parent / "images"
LABEL = "caravan.stand-in"
SUITE = "trixie"
BASE = f"caravan-stand-in:{SUITE}"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
SERVED = {"python": "3.13", "postgres": "17", "rabbitmq": "4", "nginx": "stable"}
"""By repository: the version that the suite's package is."""


def wanted() -> list[str]:
    """The images that the Dockerfile and the compose file name, without profiles that nobody asked for."""
    named = re.findall(r"^FROM ([\w./:-]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    containers = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    named += [one["image"] for one in containers if "build" not in one and "profiles" not in one]
    return sorted(set(named))


def ensure_images(engine: Engine, *, signed: bool = True) -> dict[str, str]:
    """See to it that every image is there; answers, by name, whether it was `there`, `pulled` or `made`.

    Raises EngineError: no registry answers and the packages for a stand-in cannot be had, or their signature cannot be
    checked (`signed=False` goes on without).
    """
    known = {name: _label(engine, name) for name in wanted()}
    absent = [name for name, label in known.items() if label is None]
    pulled = [name for name in absent if _pull(engine, name)]
    to_make = [name for name, label in known.items() if name not in pulled and label != ""]
    made = _make(engine, to_make, signed=signed) if to_make else set()
    return {name: "pulled" if name in pulled else "made" if name in made else "there" for name in known}


def _label(engine: Engine, name: str) -> str | None:
    """The digest of a stand-in's recipe; empty for an image that is none; None when there is no such image."""
    try:
        found = engine.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', name)
    except EngineError:
        return None
    return found.strip().replace("<no value>", "")


def _pull(engine: Engine, name: str) -> bool:
    try:
        engine.docker("pull", "--quiet", name)
    except EngineError:
        return False
    return True


def _make(engine: Engine, names: list[str], *, signed: bool) -> set[str]:
    for name in names:
        repository, _, tag = name.partition(":")
        if not tag.startswith(SERVED.get(repository, "?")):
            raise EngineError(f"no registry has {name}, and there is no recipe for a stand-in (see {RECIPES.name}/)")
    if _label(engine, BASE) != _base_digest():
        _make_base(engine, signed=signed)
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda name: (name, _make_one(engine, name)), names)
        return {name for name, fresh in done if fresh}


def _make_one(engine: Engine, name: str) -> bool:
    """Answers whether there was anything to do."""
    recipe = RECIPES / name.partition(":")[0]
    settings = "\n".join(_package_index())
    parts = [_base_digest(), settings, *(path.read_text() for path in sorted(recipe.iterdir()))]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    if _label(engine, name) == digest:
        return False
    _say(f"Making a stand-in for {name}")
    with tempfile.TemporaryDirectory(prefix="caravan-image-") as folder:
        context = Path(folder) / "context"
        shutil.copytree(recipe, context)
        (context / "pip.conf").write_text(settings + "\n")
        engine.docker(
            "build", *engine.build_options, "--quiet", "--build-arg", f"BASE={BASE}", "--label", f"{LABEL}={digest}",
            "--tag", name, folder + "/context", seconds=1200,
        )  # fmt: skip
    return True


# --- the tree they all stand on ----------------------------------------------------------------------------------


def _base_digest() -> str:
    return hashlib.sha256(f"{SUITE} 1\n{mirror()}".encode()).hexdigest()[:16]


def _make_base(engine: Engine, *, signed: bool) -> None:
    try:
        ensure_installed("debootstrap")
    except ServerError as error:
        raise EngineError(f"no registry of images answers, and stand-ins cannot be made: {error}") from error
    _say(f"No registry of images answers: making stand-ins from Debian's {SUITE}, once (a few minutes)")
    check = "--force-check-gpg" if signed else "--no-check-gpg"
    place = default_home() if engine.own else None
    with tempfile.TemporaryDirectory(prefix="tree-", dir=place) as folder:
        tree = Path(folder) / "tree"
        try:
            run(
                ["debootstrap", check, "--variant=minbase", "--include=ca-certificates", SUITE, str(tree), mirror()],
                {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}, seconds=1200,
            )  # fmt: skip
        except EngineError as error:
            hint = "; its keyring (debian-archive-keyring) may be too old to check the signature" if signed else ""
            raise EngineError(f"debootstrap failed{hint}: {error}") from error
        (tree / "etc/apt/apt.conf.d/90machine").write_text("\n".join(_apt_proxies()) + "\n")
        if bundle := certificates():
            shutil.copyfile(bundle, tree / BUNDLE)
        with subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE) as tar:
            engine.docker("import", "--change", f"LABEL {LABEL}={_base_digest()}", "-", BASE, stdin=tar.stdout)
        if tar.returncode:
            raise EngineError(f"tar ended with {tar.returncode}")


# --- how this machine reaches packages ---------------------------------------------------------------------------


def mirror() -> str:
    """The Debian mirror that this machine's apt uses, or CARAVAN_DEBIAN_MIRROR. Raises EngineError without one."""
    if given := os.environ.get("CARAVAN_DEBIAN_MIRROR"):
        return given
    form = "$(REPO_URI)|$(ORIGIN)|$(LABEL)"
    said = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], os.environ)
    found = [line.split("|")[0] for line in said.splitlines() if line.endswith("|Debian|Debian")]
    if not found:
        raise EngineError("no registry of images answers, and apt names no Debian mirror: set CARAVAN_DEBIAN_MIRROR")
    return found[0]


def certificates() -> Path | None:
    """The bundle of certificates that this machine trusts."""
    given = [os.environ.get(name, "") for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    return next((Path(one) for one in [*given, f"/{BUNDLE}"] if one and Path(one).is_file()), None)


def _apt_proxies() -> list[str]:
    said = run(["apt-config", "dump"], os.environ)
    return [line for line in said.splitlines() if re.match(r"Acquire::https?::(.*::)?Proxy ", line)]


def _package_index() -> Iterator[str]:
    """pip's settings as a file for the image; what lies in this machine's files is not there, so it is left out."""
    yield "[global]"
    yield f"cert = /{BUNDLE}"
    for line in run([sys.executable, "-m", "pip", "config", "list"], os.environ).splitlines():
        name, _, value = line.partition("=")
        addresses = [one for one in value.strip("'\"").split() if not one.startswith(("file:", "/"))]
        if (option := name.rpartition(".")[2]) in (
            "index-url",
            "extra-index-url",
            "trusted-host",
            "proxy",
        ) and addresses:
            yield f"{option} = {' '.join(addresses)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
