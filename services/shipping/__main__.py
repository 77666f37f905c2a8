from services.shipping.app import service
from shared.runtime.cli import main

main(service)
