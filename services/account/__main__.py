"""``python -m services.account …``: the commands of every service, and `create-operator`."""

from __future__ import annotations

import functools
import sys

import click

from services.account import commands, passwords
from services.account.app import service
from services.account.commands.rewrapping import Rewrapped
from services.account.domain.people import normal_email
from shared.kernel import settings
from shared.runtime.cli import main
from shared.storage.unit_of_work import Node


@click.command("create-operator")
@click.option("--email", required=True)
@click.option("--name", "full_name", default="Operator", show_default=True)
@click.option("--locale", type=click.Choice(["zh-CN", "en"]), default="zh-CN", show_default=True)
@click.option(
    "--password",
    envvar="CARAVAN_OPERATOR_PASSWORD",
    help="Better in CARAVAN_OPERATOR_PASSWORD or on standard input: others can see command lines.",
)
def create_operator(email: str, full_name: str, locale: str, password: str | None) -> None:
    """Open an operator's account, the only way there is. Done already: says so and changes nothing."""
    email = normal_email(email)
    password = password or (
        click.prompt("Password", hide_input=True, confirmation_prompt=True)
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\r\n")
    )
    password_hash = passwords.hashed(password, email)
    node = Node(settings.load(service.name))
    try:
        account_id = node.run(
            lambda tx: commands.people.register_operator(
                tx, email=email, password_hash=password_hash, full_name=full_name, locale=locale
            )
        )
    finally:
        node.close()
    click.echo(f"operator {account_id}" if account_id else "this operator exists already")


@click.command("rewrap")
@click.option("--batch", default=200, show_default=True, help="Accounts in one transaction.")
def rewrap(batch: int) -> None:
    """Write anew what is kept under an older secret, once CARAVAN_SECRET is NEW,OLD. May be stopped and begun again."""
    node = Node(settings.load(service.name))
    try:
        keys, done = node.run(commands.rewrapping.rewrap_keys), Rewrapped()
        while not done.over:
            done = node.run(functools.partial(commands.rewrapping.rewrap_some, so_far=done, limit=batch))
            click.echo(f"{done.seen} accounts looked at", err=True)
    finally:
        node.close()
    click.echo(f"{keys} signing keys and {done.anew} of {done.seen} accounts written anew, {done.erased} were erased")
    if done.left:
        sys.exit(f"{done.left} accounts have an address that another account has too: keep the old secret, and look")


if __name__ == "__main__":
    main(service, [create_operator, rewrap])
