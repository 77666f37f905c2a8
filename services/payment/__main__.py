"""`python -m services.payment work`, `migrate`, …"""

from services.payment.app import service
from shared.runtime.cli import main

main(service)
