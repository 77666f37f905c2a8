from services.order.app import service
from shared.runtime.cli import main

main(service)
