"""Dates as pages of many countries write them, and what is no date or could be two."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web.dates import read_date, read_formatted
from crawler.web.months import _NAMES, month

DAY = "2024-05-12"
OF_THE_DAY = [                     # all of them 12 May 2024
    # ISO 8601, and what looks like it
    "2024-05-12", "20240512", "2024-W19-7", "2024W197", "2024/05/12", "2024.05.12", "2024-5-12", "/2024/05/12/slug",
    "2024. 05. 12.",
    # numbers in an order that can be seen
    "12.05.2024", "12. 5. 2024", "12. 5.2024", "12.5.2024",
    # names of months, in most languages of the web
    "12 May 2024", "May 12, 2024", "May 12,2024", "May 12th, 2024", "12th of May 2024", "the 12th of May, 2024", "12-May-2024",
    "2024-May-12", "12/May/2024", "12. Mai 2024", "12 mai 2024", "12 de mayo de 2024", "12 de maio de 2024", "12 maggio 2024",
    "12 mei 2024", "den 12 maj 2024", "12. toukokuuta 2024", "12 maja 2024 r.", "12. května 2024", "12. mája 2024",
    "2024. május 12.",
    "12 мая 2024 г.", "12 травня 2024", "12 мај 2024", "12. svibnja 2024", "12 Μαΐου 2024", "12 Mayıs 2024", "12 MAYIS 2024",
    "12 Mei 2024", "12 tháng 5, 2024", "ngày 12 tháng 5 năm 2024", "12 de maig de 2024", "2024 m. gegužės 12 d.",
    "١٢ مايو ٢٠٢٤", "12 במאי 2024", "१२ मई २०२४", "১২ মে ২০২৪", "2024年5月12日", "2024年05月12日（日）",
    "2024년 5월 12일", "２０２４年５月１２日",
    # with words around it
    "Published: 12 May 2024", "Posted on May 12, 2024 by Joe (3 comments)", "発売日：2024年5月12日", "3 comments – 12 May 2024",
    "Sunday, 12 May 2024", "12 May 2024 | 12.05.2024", "\u200e12\u00a0May\u20092024",
]  # fmt: skip

TIMES = [
    ("2024-05-12T10:15", "T10:15:00"), ("2024-05-12 10:15:00.5", "T10:15:00.500000"), ("2024-05-12T10:15:00Z", "T10:15:00+00:00"),
    ("2024-05-12T10:15:00+02:00", "T10:15:00+02:00"), ("2024-05-12T10:15:00-0500", "T10:15:00-05:00"), ("20240512T101500Z",
    "T10:15:00+00:00"),
    ("Sun, 12 May 2024 10:15:00 GMT", "T10:15:00+00:00"), ("Sun, 12 May 2024 10:15:00 +0200", "T10:15:00+02:00"),
    ("Sun May 12 10:15:00 2024", "T10:15:00"), ("Sun May 12 2024 10:15:00 GMT+0200 (CEST)", "T10:15:00+02:00"),
    ("12/May/2024:10:15:00 +0000", "T10:15:00+00:00"), ("Sunday, May 12, 2024 at 10:15 PM EST", "T22:15:00-05:00"),
    ("May 12, 2024 10:15pm", "T22:15:00"), ("May 12, 2024 at 10 PM", "T22:00:00"), ("12:30 AM, May 12, 2024", "T00:30:00"),
    ("12.05.2024, 10:15 Uhr", "T10:15:00"), ("12.05.2024 um 10.15 Uhr", "T10:15:00"), ("12 mai 2024 à 10h15", "T10:15:00"),
    ("10:15, 12 May 2024", "T10:15:00"), ("12 May 2024 10:15 CEST", "T10:15:00+02:00"), ("12 мая 2024, 10:15", "T10:15:00"),
    ("2024年5月12日 10:15", "T10:15:00"), ("2024年5月12日 午後3時15分", "T15:15:00"), ("2024년 5월 12일 오전 3:15", "T03:15:00"),
    ("12.05.2024 - 10:15", "T10:15:00"), ("May 12, 2024 10:15 AM BY JOE", "T10:15:00"),
]  # fmt: skip

NO_DATES = [
    "", "call us", "12", "2024", "1715500800", "10:15", "$12.50", "3.11.2", "192.168.10.2024", "555-1234-2024", "12 monkeys 2024",
    "2024-05", "May 2024", "May 12", "12 May", "12.05.", "12.05.24", "12/05/24",
    "12 May 24",                       # a part is missing
    "yesterday", "2 days ago", "today 10:15", "next Monday",
    "in 5 minutes",                                        # relative to today
    "03/04/2024", "03-04-2024", "5. listopad 2024",                                                                 # two readings
    "2023-02-29", "31 February 2024", "2024-13-01", "99/99/2024", "32.01.2024", "20241340", "2024-05-121", "12 May 20245",
    "2024-05-12 24:00", "2024-05-12T25:00:00", "12 May 2024 13:00 PM",                                              # do not exist
    "12-15 May 2024", "12–15 May 2024", "10 and 12 May 2024", "12 May to 15 May 2024", "12 May 2024 - 15 May 2024",
    "5 - 12 May 2024",
    "2024-05-12/2024-05-15", "12.05.2024-15.05.2024", "May 12 to 15, 2024",
    "Updated 13 May 2024, published 12 May 2024",   # two dates
    "12 May 2024 10:15 IST", "May 12, 2024 10:15 PM ET",                   # zones of several meanings
    "۱۴۰۳/۰۲/۲۳", "2567-05-12", "令和6年5月12日", "1445/11/04",     # other calendars
]  # fmt: skip


@pytest.mark.parametrize("text", OF_THE_DAY)
def test_a_date_is_read_as_it_is_written(text: str) -> None:
    assert read_date(text) == DAY


@pytest.mark.parametrize(("text", "time"), TIMES)
def test_a_time_and_its_zone_are_kept(text: str, time: str) -> None:
    assert read_date(text) == DAY + time


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_or_two_is_null(text: str) -> None:
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("text", "day_first", "value"),
    [
        ("03/04/2024", True, "2024-04-03"), ("03/04/2024", False, "2024-03-04"), ("03-04-2024", True, "2024-04-03"),
        ("13/04/2024", None, "2024-04-13"), ("04/13/2024", None, "2024-04-13"), ("05/05/2024", None, "2024-05-05"),
        ("13/04/2024", False, None), ("04/13/2024", True, None), ("03.04.2024", None, "2024-04-03"),
        ("03.04.2024", False, "2024-03-04"),
        ("5.13.2024", None, "2024-05-13"), ("2024/03/04", True, "2024-03-04"), ("03/04/24", True, None),
    ],
)  # fmt: skip
def test_the_order_decides_where_it_is_known(text: str, day_first: bool | None, value: str | None) -> None:
    assert read_date(text, day_first=day_first) == value


def test_the_language_decides_where_a_name_means_two_months() -> None:
    assert read_date("12 listopada 2024", "pl") == "2024-11-12"
    assert read_date("12. listopada 2024", "hr-HR") == "2024-10-12"
    assert read_date("12 listopada 2024", "en") is None


def test_names_with_vowel_signs_are_read_whole() -> None:
    assert (read_date("5 जुलाई 2024"), read_date("5 ফেব্রুয়ারি 2024")) == ("2024-07-05", "2024-02-05")


def test_every_name_means_one_month() -> None:
    names = [name for names in _NAMES for name in names.split()]

    assert len(names) == len(set(names)) > 600
    assert all(month(name.upper()) == month(name) for name in names if name.isascii())


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("12.05.2024", "%d.%m.%Y", "2024-05-12"), (" 12.05.24 ", "%d.%m.%y", "2024-05-12"), ("Posted 05/12/24",
        "Posted %m/%d/%y", DAY),
        ("2024-05-12 10:15 +0200", "%Y-%m-%d %H:%M %z", "2024-05-12T10:15:00+02:00"), ("12 May 2024", "%d %B %Y", DAY),
        ("١٢/٠٥/٢٠٢٤", "%d/%m/%Y", DAY), ("12.05.2024 or so", "%d.%m.%Y", None), ("2024-05-12", "%d.%m.%Y", None),
    ],
)  # fmt: skip
def test_a_form_reads_what_has_it_and_nothing_else(text: str, form: str, value: str | None) -> None:
    assert read_formatted(text, form) == value


@given(st.dates(min_value=date(1583, 1, 1), max_value=date(2399, 12, 31)))
@settings(max_examples=100, deadline=None)
def test_every_day_is_read_in_every_form(day: date) -> None:
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y"):
        assert read_date(day.strftime(form)) == day.isoformat()


@given(st.text(alphabet="0123456789.,/-: TZMayoct年月日時午後tháng+–", max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_fails(text: str) -> None:
    assert isinstance(read_date(text), str | None)
    assert isinstance(read_date(text * 50, "pl", day_first=True), str | None)
