"""``python -m services.catalog …``: the commands of every service."""

from services.catalog.app import service
from shared.runtime.cli import main

main(service)
