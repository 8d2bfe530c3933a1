"""Numbers as shops of many countries write them, and what is no number."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web.fields import Decimal
from crawler.web.numbers import number

NUMBERS = [
    # United States, Canada, Mexico
    ("$1,299.00", 1299.0), ("$.50", 0.5), ("US$12.50", 12.5), ("CA$ 1,299", 1299.0), ("$1,299.99USD", 1299.99), ("-$5.00", -5.0),
    ("$-5.00", -5.0), ("$1,299.00 MXN", 1299.0), ("Price:12.50", 12.5), (".99", 0.99),
    # United Kingdom, Ireland
    ("£.99", 0.99), ("£1,299", 1299.0), ("was £20.00", 20.0), ("€12.50/kg", 12.5),
    # Germany, Austria, Switzerland
    ("1.299,00 €", 1299.0), ("EUR 1.299,00", 1299.0), ("Preis: 5 €", 5.0), ("1.837, 32 €", 1837.32), ("CHF 1'299.–", 1299.0),
    ("CHF12.50", 12.5), ("1’299.50", 1299.5), ("1,99€/100g", 1.99), ("12,5 kg", 12.5), ("€ 12,-", 12.0),
    # France, Belgium, the Netherlands
    ("1\u202f299,00\u00a0€", 1299.0), ("149€99", 149.99), ("€ 1.299,-", 1299.0), ("1 299 €", 1299.0),
    # Italy, Spain, Portugal
    ("€ 1.299,50", 1299.5), ("0,125", 0.125), ("0,999", 0.999), ("12,50€.", 12.5),
    # Scandinavia
    ("1\u2009299 kr", 1299.0), ("129:-", 129.0), ("1.299,- kr.", 1299.0), ("kr. 1.299,00", 1299.0), ("kr 129", 129.0),
    # Poland, Czechia, Hungary, Ukraine, Russia
    ("1 299,00 zł", 1299.0), ("1 299 Kč", 1299.0), ("12 990 Ft", 12990.0), ("1 299 грн", 1299.0), ("1 299,5 руб.", 1299.5),
    # India, Pakistan
    ("₹1,29,999.00", 129999.0), ("Rs.500", 500.0), ("Rs. 1,299.50", 1299.5), ("₹99", 99.0),
    # Brazil, Peru, South Africa
    ("R$ 1.299,90", 1299.9), ("S/.12.50", 12.5), ("S/ 12.50", 12.5), ("R1 299,00", 1299.0),
    # Japan, China, Korea, Hong Kong
    ("¥1,299", 1299.0), ("1299円", 1299.0), ("１２，３４５円", 12345.0), ("¥ 1,299 (税込)", 1299.0), ("₩12,000", 12000.0),
    ("HK$1,299.00", 1299.0),
    # Arabic, Persian and Indian digits
    ("٣٫٥", 3.5), ("١٬٢٩٩", 1299.0), ("۱۲۳", 123.0), ("१२३.५", 123.5),
    # no prices
    ("-3.5 °C", -3.5), ("−3", -3.0), ("-12%", -12.0), ("-.5 %", -0.5), ("+5", 5.0), ("50%", 50.0), ("12kg", 12.0), ("12m²", 12.0),
    ("(12)", 12.0), ("#12", 12.0), ("★4.5", 4.5), ("4.5 out of 5", 4.5), ("3 reviews", 3.0), ("3.", 3.0), ("0", 0.0),
    ("-0.5", -0.5),
    ("now only € 12,50", 12.5), ("price - 12.50", 12.5), ("1 000 000", 1000000.0), ("1'299'000.25", 1299000.25),
    # one mark alone: what can be seen and what cannot
    ("1,000", 1000.0), ("1.000", 1.0), ("1,299", 1299.0), ("1.299", 1.299), ("1.299.000", 1299000.0), ("12,345,678", 12345678.0),
    ("12,5", 12.5), ("12,3456", 12.3456), ("123,456.789", 123456.789), ("1.0000", 1.0),
]  # fmt: skip

NO_NUMBERS = [
    "", "none", "call us", "m²",
    "3.11.2", "1.2.3.4", "192.168.1.1", "v3.2", "1,299,00", "1.23.456", "1..2", "1,,2", "..5",      # versions, addresses, slips
    "12.05.2024", "2024-05-12", "12/05/2024", "May 12, 2024", "12:30", "12h30",                     # dates, times
    "030-12345", "Tel. 030-12345", "+49 30 12345", "+4930123456", "(555) 123-4567", "555 123 4567", "555-1234", "01 23 45 67 89",
    "0042", "00", "item-12", "A-12", "x200", "R2D2", "No.5", "1e5",                                 # codes
    "5-10", "5 - 10 €", "$5.00 - $10.00", "12.00–15.00", "€12.50-€15",                              # ranges
    "12 5", "£20 £15", "149 € 99", "19,99 €19,99 €",                                                # two numbers
    "25x30", "1/2", "4.5/5", "1½", "10²", "$12⁹⁹", "1.5k", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_a_number_is_read_as_shops_write_it(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_could_be_something_else_is_no_number(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1.299", ",", 1299.0), ("1.299", ".", 1.299), ("1,299", ",", 1.299), ("1,299", ".", 1299.0), ("1.000", ",", 1000.0),
        ("1.299,50", ",", 1299.5), ("1.299,50", ".", None), ("12,50", ".", None), ("12", ",", 12.0),
    ],
)  # fmt: skip
def test_the_decimal_sign_decides_where_it_is_known(text: str, decimal: Decimal, value: float | None) -> None:
    assert number(text, "float", decimal) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.9 kg", 12), ("12.00", 12), ("1.299", 1299), ("1,299", 1299), ("1.299,00", 1299), ("1.000", 1000), ("-3", -3),
        ("9" * 18, 10**18 - 1), ("9" * 19, None), ("3.11.2", None),
    ],
)  # fmt: skip
def test_an_int_has_no_fraction_and_fits_what_databases_hold(text: str, value: int | None) -> None:
    assert number(text, "int") == value


MARKS = [(",", "."), (".", ","), (" ", ","), ("'", "."), ("\u202f", ",")]     # of groups, of decimals


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from(MARKS))
@settings(max_examples=200, deadline=None)
def test_a_price_is_read_in_every_notation(whole: int, cents: int, marks: tuple[str, str]) -> None:
    group, decimal = marks
    text = f"{whole:,}".replace(",", group) + f"{decimal}{cents:02}"

    assert number(f"{text} EUR") == number(f"€{text}") == float(f"{whole}.{cents:02}")


@given(st.text(alphabet="0123456789.,' -+$€kRrs:/()½٣٫–xEU\u00a0\x01\x02", max_size=14), st.sampled_from(["", ",", "."]))
@settings(max_examples=500, deadline=None)
def test_no_text_fails(text: str, decimal: Decimal) -> None:
    assert isinstance(number(text, "float", decimal), float | None)
    assert isinstance(number(text, "int", decimal), int | None)
