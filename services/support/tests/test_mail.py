"""Letters, through a real SMTP server, at most once."""

from email import message_from_bytes
from email.policy import default

import pytest
import sqlalchemy as sa

from services.support import store
from services.support.domain import Letter
from services.support.gateways import SmtpMailer
from services.support.tests.makers import Desk, MailServer
from shared.contracts.support import NotificationSent
from shared.storage.types import intent


def states(desk):
    with desk.stage.node.database.read() as connection:
        rows = connection.execute(sa.select(store.notification.c.mail).where(store.notification.c.mail != "none"))
        return sorted(rows.scalars())


def waiting(desk):
    with desk.stage.node.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(intent)).scalar()


def by_mail(desk):
    return [said for said in desk.stage.said(NotificationSent) if said.channel == "email"]


def test_the_seller_gets_a_letter_that_an_order_is_paid(post_office, mail):
    post_office.stage.hear(post_office.paid())
    post_office.stage.call()
    letters = {envelope.rcpt_tos[0]: message_from_bytes(envelope.content, policy=default) for envelope in mail.letters}
    assert letters.keys() == {"li@example.com", "shop@example.com"}
    letter = letters["shop@example.com"]
    assert letter["Subject"] == "Order G0000000000000018-1 is paid"
    assert letter["From"] == "Caravan <post@caravan.example>"
    assert letter.get_content().splitlines()[0] == "Dear Li Wei,"
    said = [said for said in by_mail(post_office) if said.template == "order_paid"]
    assert [(one.to, one.account_id) for one in said] == [("seller", post_office.seller.account_id)]
    assert letter["Message-ID"] == f"<{said[0].notification_id}@caravan.example>"


def test_a_letter_in_chinese_and_with_dots_arrives_whole(post_office, mail):
    text = "李雷，您好：\n\n.一行以点开头\n..\n.\n" + "长" * 2000 + "\n"
    mailer = SmtpMailer(post_office.stage.node.settings)
    mailer.send("li@example.com", Letter("订单已付款", text), "id-1")
    (envelope,) = mail.letters
    message = message_from_bytes(envelope.content, policy=default)
    assert message["Subject"] == "订单已付款"
    assert message.get_content().replace("\r\n", "\n") == text


def test_without_a_mail_server_everything_is_in_the_inbox(desk):
    desk.stage.hear(desk.paid())
    assert (states(desk), waiting(desk)) == ([], 0)
    assert len(desk.inbox(desk.buyer)) == 1


@pytest.mark.parametrize("where", ["recipient", "letter"])
def test_a_letter_refused_for_now_is_tried_again_and_comes_once(post_office, mail, where):
    (mail.at_recipient if where == "recipient" else mail.answers).extend(["451 later"] * 3)
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    for _ in range(3):
        post_office.post()
        assert (mail.letters, by_mail_of(post_office, "order_cancelled")) == ([], [])
        assert "asked" in states(post_office)
    post_office.post()
    post_office.post()
    assert len(mail.letters) == 1
    assert len(by_mail_of(post_office, "order_cancelled")) == 1
    assert waiting(post_office) == 0


def by_mail_of(desk, template):
    return [said for said in by_mail(desk) if said.template == template]


def test_a_letter_refused_for_good_is_given_up(post_office, mail):
    mail.at_recipient.append("550 no such mailbox")
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    post_office.post()
    post_office.post()
    assert (mail.letters, waiting(post_office), "failed" in states(post_office)) == ([], 0, True)


def test_a_line_that_breaks_after_the_letter_is_not_tried_again(post_office, mail):
    mail.answers.append("hang up")
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    for _ in range(3):
        post_office.post()
    assert (len(mail.letters), mail.tries, waiting(post_office)) == (1, 1, 0)
    assert "unknown" in states(post_office)
    assert by_mail_of(post_office, "order_cancelled") == []


def test_a_process_that_dies_while_sending_sends_nothing_twice(post_office, mail):
    """The letter went out and we died before we could write so: the next process finds the mark, and leaves it."""

    class Died(BaseException):
        pass

    real = SmtpMailer(post_office.stage.node.settings)

    class Dying:
        def send(self, *letter):
            real.send(*letter)
            raise Died

    post_office.stage.node.outside["mail"] = Dying()
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    with pytest.raises(Died):
        post_office.post()
    post_office.stage.node.outside["mail"] = real
    post_office.post()
    assert (len(mail.letters), waiting(post_office), "unknown" in states(post_office)) == (1, 0, True)


def test_a_mail_server_that_is_away_is_waited_for(sqlite_url, tmp_path):
    mail = MailServer()
    desk = Desk(sqlite_url, tmp_path, smtp_url=mail.url)
    mail.stop()
    desk.opened()
    desk.stage.hear(desk.cancelled(was_paid=False))
    desk.post()
    assert set(states(desk)) == {"asked"}
    back = MailServer()
    object.__setattr__(desk.stage.node.settings, "smtp_url", back.url)
    desk.stage.node.outside.clear()
    for _ in range(2):
        desk.post()
    assert (set(states(desk)), waiting(desk), len(back.letters)) == ({"sent"}, 0, 2)
    back.stop()
    desk.stage.close()


def test_an_address_that_comes_late_still_gets_its_letter(sqlite_url, tmp_path, mail):
    desk = Desk(sqlite_url, tmp_path, smtp_url=mail.url)
    desk.stage.hear(desk.approved())
    desk.stage.hear(desk.cancelled(was_paid=False))
    desk.post()
    desk.stage.hear(desk.registered(desk.buyer, "li@example.com"), desk.registered(desk.seller, "shop@example.com"))
    desk.post()
    assert {envelope.rcpt_tos[0] for envelope in mail.letters} == {"li@example.com", "shop@example.com"}
    desk.stage.close()


def test_nobody_writes_to_an_address_that_never_came(sqlite_url, tmp_path, mail):
    desk = Desk(sqlite_url, tmp_path, smtp_url=mail.url)
    desk.stage.hear(desk.approved())
    for _ in range(8):
        desk.post()
    assert (states(desk), waiting(desk), mail.letters) == (["no_address"], 0, [])
    desk.stage.close()


def test_an_erased_reader_gets_no_letter(post_office, mail):
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    post_office.stage.node.vault.destroy(post_office.buyer.account_id)
    post_office.post()
    assert (mail.letters, waiting(post_office), "no_address" in states(post_office)) == ([], 0, True)


def test_an_address_cannot_smuggle_a_header(post_office, mail):
    post_office.stage.hear(post_office.registered(post_office.buyer, "li@example.com\r\nBcc: x@example.com"))
    post_office.stage.hear(post_office.cancelled(was_paid=False))
    post_office.post()
    assert (mail.letters, "failed" in states(post_office)) == ([], True)


def test_names_and_addresses_are_kept_sealed(post_office):
    with post_office.stage.node.database.read() as connection:
        kept = str(connection.execute(sa.select(store.contact)).all())
    assert "example.com" not in kept
    assert "Li Wei" not in kept
