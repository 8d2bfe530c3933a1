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
    ("-0.5", -0.5), ("(.99)", 0.99), ("$-.99", -0.99), ("-£.99", -0.99), ("USD .99", 0.99), ("Rs.99", 99.0), ("+.5", 0.5),
    (".125 in", 0.125),
    ("4.5 (12)", 4.5), ("0,05 %", 0.05), ("12,50 €*", 12.5), ("€12.50 incl. 21% VAT", 12.5), ("12,50 € (100 g = 2,50 €)", 12.5),
    ("now only € 12,50", 12.5), ("price - 12.50", 12.5), ("1 000 000", 1000000.0), ("1'299'000.25", 1299000.25),
    # minus in front, in its many forms; percent
    ("- 5,00 €", -5.0), ("– 5,00 €", -5.0), ("–12,50 €", -12.5), ("€ −3", -3.0), ("-$12.50", -12.5), ("EUR -12,50", -12.5),
    ("−12 %", -12.0),
    ("12,5 ‰", 12.5), ("%50", 50.0), ("٪٥٠", 50.0), ("save 20%", 20.0),
    # the currency tells that a point groups: Sweden, Norway, Denmark, Iceland, Indonesia, Vietnam, Germany, Italy, the Netherlands,
    # Hungary, Czechia, Poland, Romania, Serbia, Turkey, Brazil, Chile, Colombia, Paraguay, Costa Rica, Japan
    ("12.500 kr", 12500.0), ("kr 1.899", 1899.0), ("1.899:-", 1899.0), ("1.899 DKK", 1899.0), ("12.990 ISK", 12990.0),
    ("Rp 31.500", 31500.0), ("Rp31.500", 31500.0), ("IDR 31.500", 31500.0), ("12.500 ₫", 12500.0), ("12.500đ", 12500.0),
    ("12.500 VND", 12500.0), ("1.899 €", 1899.0), ("€1.899", 1899.0), ("EUR 1.899", 1899.0), ("1.899,- €", 1899.0),
    ("1.899.-", 1899.0), ("1.899,-", 1899.0), ("1.899,–", 1899.0), ("12.990 Ft", 12990.0), ("12.990 Kč", 12990.0),
    ("1.299 zł", 1299.0), ("1.299 lei", 1299.0), ("1.299 RSD", 1299.0), ("1.299 дин.", 1299.0), ("₺1.299", 1299.0),
    ("1.299 TL", 1299.0), ("R$ 1.299", 1299.0), ("CLP$ 12.990", 12990.0), ("COP 12.500", 12500.0), ("$12.500 COP", 12500.0),
    ("₲ 12.500", 12500.0), ("₡12.500", 12500.0), ("¥1.299", 1299.0), ("1.699 €/m²", 1699.0), ("€ 0.125", 0.125),
    # or that it does not: Kuwait, Oman, Jordan, Tunisia
    ("423.923 KD", 423.923), ("OMR 1.250", 1.25), ("1.299 JOD", 1.299), ("1,299 DT", 1.299), ("1.299 TND", 1.299),
    # and a comma: Ireland, the United Arab Emirates, Saudi Arabia, Israel, Kenya, Nigeria, Thailand, the Philippines, Singapore
    ("€1,299", 1299.0), ("AED 1,299", 1299.0), ("د.إ 1,299", 1299.0), ("SAR1,299", 1299.0), ("1,299 ₪", 1299.0),
    ("\u200f1,299 ₪", 1299.0), ("KSh 1,299", 1299.0), ("₦1,299", 1299.0), ("฿1,299", 1299.0), ("₱1,299.00", 1299.0),
    ("S$1,299", 1299.0),
    ("RM1,299.00", 1299.0), ("NT$1,299", 1299.0), ("৳ ১,২৯৯", 1299.0), ("Rs 1,299/-", 1299.0), ("₹1,299/-", 1299.0),
    ("12,34,567.89", 1234567.89), ("₹१,२९९.५०", 1299.5), ("٣٬٤٥٦٫٧٨", 3456.78), ("US$:12.99", 12.99), ("B/.12", 12.0),
    ("U$S 1.299", 1299.0), ("AR$ 12.999", 12999.0), ("1.299,50 pesos", 1299.5), ("1,299 dollars", 1299.0), ("25 dólares", 25.0),
    # how many pieces have the price, after it
    ("$10 for 2", 10.0), ("5 € per 100 g", 5.0), ("10 € pour 2 personnes", 10.0), ("100 for sale", 100.0), ("5 for 10", 5.0),
    # a blank after the mark, where a currency shows that it is one price
    ("$119. 95", 119.95), ("118, 99 TL", 118.99), ("130, 38 zł", 130.38), ("$ 8. 94", 8.94), ("1.837,\u00a032 €", 1837.32),
    # scripts without spaces; other spaces, apostrophes and digits
    ("税込1,299円", 1299.0), ("人民币1299元", 1299.0), ("총12,000원", 12000.0), ("ราคา1,299บาท", 1299.0), ("تومان56,000", 56000.0),
    ("1\u2007299,00", 1299.0), ("1\u200a299 kr", 1299.0), ("1\u2005299,50 €", 1299.5), ("1\u3000299円", 1299.0),
    ("1\u200b299", 1299.0),
    ("1ʼ299.50", 1299.5), ("1＇299", 1299.0), ("１．５", 1.5), ("－５", -5.0), ("Fr. 1'299.-", 1299.0), ("SFr. 5.50", 5.5),
    ("５", 5.0), ("१.५", 1.5), ("𝟏𝟐", 12.0),
    # what stands beside a number without being part of it
    ("12,99 € ¹", 12.99), ("12,99 €¹", 12.99), ("1.299,00 € ²", 1299.0), ("12,99 € + 4,99 € Versand", 12.99),
    ("$12.99 + $4.99 shipping", 12.99), ("12,99 €* 100 g", 12.99), ("500+ sold", 500.0), ("№ 5", 5.0), ("½ price 10 €", 10.0),
    ("Preis/m² 5 €", 5.0), ("H₂O 5", 5.0), ("5 ㎏", 5.0), ("5 e mail", 5.0), ("12 i lager", 12.0), ("5 minutes", 5.0),
    ("Home > 5 €", 5.0), ("12\" screen", 12.0), ("6' tall", 6.0), ("200 백화점", 200.0), ("5 and a bag", 5.0),
    # one mark alone: what can be seen and what cannot
    ("1,000", 1000.0), ("1.000", 1.0), ("1,299", 1299.0), ("1.299", 1.299), ("1.299.000", 1299000.0), ("12,345,678", 12345678.0),
    ("12,5", 12.5), ("12,3456", 12.3456), ("123,456.789", 123456.789), ("1.0000", 1.0),
]  # fmt: skip

# As shops print them, by country.
PRICES = {
    "Switzerland": [("1'299.–", 1299.0), ("CHF 1'299.–", 1299.0), ("CHF 1'299.—", 1299.0), ("Fr. 1’299.50", 1299.5),
        ("1'299.95 CHF", 1299.95)],
    "India": [("₹1,23,456.00", 123456.0), ("Rs. 1,23,456/-", 123456.0), ("INR 1,23,456", 123456.0)],
    "Japan": [("1,980円", 1980.0), ("¥1,980(税込)", 1980.0), ("1,980円（税込）", 1980.0), ("税込価格：2,178円", 2178.0),
        ("2,178円(税抜1,980円)", 2178.0), ("￥1,980", 1980.0)],
    "Brazil": [("R$ 1.299,90", 1299.9), ("R$1.299,90 à vista", 1299.9), ("por R$ 1.299,90", 1299.9)],
    "Czechia": [("1 299,- Kč", 1299.0), ("1\u00a0299,-\u00a0Kč", 1299.0), ("1 299,00 Kč", 1299.0), ("od 1 299 Kč", 1299.0)],
    "Sweden": [("1 299:-", 1299.0), ("1\u00a0299:-", 1299.0), ("1 299 kr", 1299.0), ("1 299,50 kr", 1299.5)],
    "Poland": [("12,99 zł", 12.99), ("1 299,99 zł", 1299.99), ("12,99\u00a0PLN", 12.99)],
    "Denmark": [("1.299,-", 1299.0), ("kr. 1.299,-", 1299.0), ("1.299,00 kr.", 1299.0), ("1.299,95 DKK", 1299.95)],
    "South Africa": [("R1 299.99", 1299.99), ("R 1 299.99", 1299.99), ("R1,299.99", 1299.99), ("ZAR 1 299,99", 1299.99)],
    "Arabic and Persian digits": [("١٬٢٩٩٫٥٠ ر.س", 1299.5), ("١٢٩٩ ر.س", 1299.0), ("٢٥٫٥٠ د.إ", 25.5),
        ("۱٬۲۹۹٬۰۰۰ تومان", 1299000.0), ("۱,۲۹۹,۰۰۰ تومان", 1299000.0)],
    "Russia, Ukraine, Kazakhstan": [("1 299 ₽", 1299.0), ("1 299,90 руб.", 1299.9), ("1 299,50 грн", 1299.5),
        ("1 299.00 ₸", 1299.0)],
    "Turkey, Israel": [("1.299,90 TL", 1299.9), ("₪1,299.90", 1299.9), ("\u200f1,299.90 ₪", 1299.9)],
    "Vietnam, Indonesia, Korea, Thailand": [("1.299.000 ₫", 1299000.0), ("Rp1.299.000", 1299000.0),
        ("₩1,299,000", 1299000.0), ("1,299,000원", 1299000.0), ("฿1,299.00", 1299.0)],
    "the euro": [("1.299,00 €", 1299.0), ("€ 1.299,-", 1299.0), ("1 299,00 €", 1299.0)],
    "Australia, Canada, New Zealand, Mexico, the United Kingdom": [("A$1,299.95", 1299.95), ("C$1,299.95", 1299.95),
        ("1 299,95 $", 1299.95), ("NZ$1,299", 1299.0), ("MX$1,299.00", 1299.0), ("£1,299.99", 1299.99)],
    "Romania, Bulgaria, Hungary, Croatia": [("1.299,99 lei", 1299.99), ("1299,99 лв.", 1299.99), ("12 990 Ft", 12990.0),
        ("1.299,99 kn", 1299.99)],
    "Peru, Chile": [("S/ 1,299.90", 1299.9), ("$1.299.990 CLP", 1299990.0)],
}  # fmt: skip

NO_NUMBERS = [
    "", "none", "call us", "m²",
    "3.11.2", "1.2.3.4", "192.168.1.1", "v3.2", "1,299,00", "1.23.456", "1..2", "1,,2", "..5",      # versions, addresses, slips
    "12.05.2024", "2024-05-12", "12/05/2024", "May 12, 2024", "12:30", "12h30",                     # dates, times
    "030-12345", "Tel. 030-12345", "+49 30 12345", "+4930123456", "(555) 123-4567", "555 123 4567", "555-1234", "01 23 45 67 89",
    "0042", "00", "item-12", "A-12", "x200", "R2D2", "No.5", "1e5",                                 # codes
    "12 May", "May 12", "July, 2004", "12. März", "1er mai", "10.15 Uhr", "10 h 30", "9.30 p.m.", "2024年5月12日",
    "+48 123 456 789", "+1 (555) 123-4567", "1 & 2", "1 / 2", "10 %–20 %", "12 euros 50", "12 Euro 50 Cent",
    "Phone: 5551234567", "tel 5551234567", "☎ 5551234567", "version 2.0", "Version 2",
    "v 3", "ISBN 9783161484100",
    "$1.299", "£1.299", "US$1.299", "1,599 €/l", "€1.699 per litre", "119. 95", "38, 40", "$5. 20 left",
    "1.5 million", "1,5 Mio. €", "₹ 2.5 lakh", "12 тыс. руб.", "3.5万", "1.5억", "1.5 M€", "5 k€", "$2bn", "12.50-",
    "±5", "~5", "≈5",
    "5 to 10 €", "5 bis 10 €", "de 5 à 10 €", "5 до 10", "5～10", "5〜10", "5…10", "5 or 10", "5 × 10", "2 x 5,99 €",
    "5-10", "5 - 10 €", "$5.00 - $10.00", "12.00–15.00", "€12.50-€15",                              # ranges
    "3 for $10", "2 for £5.00", "2 für 5 €", "3 pour 10 €", "12 por R$ 30", "4 mal 5,00 €",         # pieces, before their price
    "10x de R$ 12,99", "em até 12x de R$ 9,90", "3x 12,99 €", "1.299 dólares", "1.299 pesos",
    "12 5", "£20 £15", "149 € 99", "19,99 €19,99 €",                                                # two numbers
    # part of another number: fractions, powers, cents in superscript, numerals
    "½", "1 ½", "1 ½ cups", "1 ¼ kg", "1\u00a0½", "1\t½", "½ 1", "½ 5 €", "¼ of 20", "1 & ½", "1-½", "1 - ½", "1–½", "1 + ½",
    "1 and ½", "5.½", "5 (½)", "$5 ½", "5€ ½", "5 € ½", "5 ½ %", "1,5 ½", "0 ½", "2 ⅔", "12 ⅛", "3 ¾ in", "1 ⅟ 2", "1 1/2",
    "1 ⁄ 2", "1⁄2", "1 1⁄2", "1 ∕ 2", "1¹⁄₂", "1 ¹⁄₂", "10 ²", "5 ⁹⁹", "$5 ⁹⁹", "5 €⁹⁹", "5 ₂", "Ⅳ", "5 Ⅳ", "5ⅰ", "①", "5 ①",
    "5㊿", "5〇", "5百", "5 千", "12 dozen", "2 hundred", "1 and a half",
    # one of two numbers: ranges with other dashes, products, ratios, sums, feet and inches
    "1 ‒ 2", "1 ― 2", "1‑2", "1‐2", "1—2", "3x4", "3 x 4", "3×4", "3 * 4", "3*4", "3 ✕ 4", "3✖4", "1 : 2", "16:9", "1 + 1",
    "2 + 1 free", "2 ^ 3", "5 ± 1", "1 → 2", "5' 11\"", "5′ 11″", "5 ft 11", "6 ft. 2 in", "1 lb 4 oz", "2 min 30", "1 hr 20",
    "--5", "≥5", "≤5", "<5", ">5", "≥ 5", "≤ 5", "± 5", "≈ 5", "~ 5",
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
        ("1.299 €", 1299), ("12.500 kr", 12500), ("1’299", 1299), ("0.125", 0),
        ("9" * 18, 10**18 - 1), ("9" * 19, None), ("3.11.2", None),
    ],
)  # fmt: skip
def test_an_int_has_no_fraction_and_fits_what_databases_hold(text: str, value: int | None) -> None:
    assert number(text, "int") == value


MARKS = [(",", "."), (".", ","), (" ", ","), ("'", "."), ("\u202f", ",")]  # of groups, of decimals


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from(MARKS))
@settings(max_examples=200, deadline=None)
def test_a_price_is_read_in_every_notation(whole: int, cents: int, marks: tuple[str, str]) -> None:
    group, decimal = marks
    text = f"{whole:,}".replace(",", group) + f"{decimal}{cents:02}"

    assert number(f"{text} EUR") == number(f"€{text}") == float(f"{whole}.{cents:02}")


@pytest.mark.slow
@given(st.text(alphabet="0123456789.,' -+$€kRrs:/()½٣٫–xEUM\u00a0\u200e\x01\x02\x03", max_size=14), st.sampled_from(["", ",", "."]))
@settings(max_examples=500, deadline=None)
def test_no_text_fails(text: str, decimal: Decimal) -> None:
    assert isinstance(number(text, "float", decimal), float | None)
    assert isinstance(number(text, "int", decimal), int | None)


@pytest.mark.parametrize(("country", "text", "value"), [(country, *row) for country, rows in PRICES.items() for row in rows])
def test_a_price_as_shops_of_a_country_print_it(country: str, text: str, value: float) -> None:
    assert number(text) == value, country
    if value % 1 == 0:
        assert number(text, "int") == value
