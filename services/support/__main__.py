from services.support.app import service
from shared.runtime.cli import main

main(service)
