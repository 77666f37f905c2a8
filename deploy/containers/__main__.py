"""`python -m deploy.containers`: which engine answers, and which images are there, pulled, or made as stand-ins."""

import sys

import click

from deploy.containers.engine import EngineError, engine
from deploy.containers.images import ensure_images


@click.command()
@click.option("--unsigned", is_flag=True, help="Make stand-ins even if their packages' signature cannot be checked.")
def main(unsigned: bool) -> None:
    """Find or start a container engine, and see to it that the images the compose file names are there."""
    try:
        with engine() as docker:
            click.echo(f"engine {docker.version()} ({'started by us' if docker.own else 'of this machine'})")
            for name, how in ensure_images(docker, signed=not unsigned).items():
                click.echo(f"{name:24}{how}")
    except EngineError as error:
        sys.exit(str(error))


main()
