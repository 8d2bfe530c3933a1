from __future__ import annotations

import logging
import time

from crawler.hub.contact import Contact


def test_a_loss_and_a_return_are_told_once_however_many_connections_notice(caplog):
    contact = Contact("127.0.0.1:8000")

    with caplog.at_level(logging.INFO, "crawler.hub.contact"):
        contact.lost(60.0)
        contact.lost(60.0)
        contact.answered(time.monotonic())
        contact.answered(time.monotonic())

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages == [
        "the hub at 127.0.0.1:8000 is gone; trying again for 60 s", "the hub at 127.0.0.1:8000 is back after 0 s",
    ]  # fmt: skip


def test_an_answer_to_a_call_from_before_the_loss_is_no_return():
    contact = Contact("127.0.0.1:8000")
    asked_at = time.monotonic()

    contact.lost(60.0)
    contact.answered(asked_at - 1.0)

    assert contact.is_lost
