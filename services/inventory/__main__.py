"""``python -m services.inventory work`` and the other commands every service has."""

from services.inventory.app import service
from shared.runtime.cli import main

main(service)
