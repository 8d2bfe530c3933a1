"""The names of the months in forty languages, long and short, as Unicode CLDR lists them, and a few more.

Case, accents and full stops do not count: "Février" and "fevrier" are one name. A few names mean different months in two
languages; they are understood only if the language is known.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

# January to December: English, Afrikaans, Arabic, Belarusian, Bengali, Bulgarian, Catalan, Croatian, Czech, Danish, Dutch,
# Estonian, Filipino, Finnish, French, Galician, German, Greek, Hebrew, Hindi, Hungarian, Icelandic, Indonesian, Italian, Latvian,
# Lithuanian, Macedonian, Malay, Norwegian, Polish, Portuguese, Romanian, Russian, Serbian, Slovak, Slovene, Spanish, Swedish,
# Turkish, Ukrainian.
_NAMES: Final = (
    "january jan januar janvier janv enero ene gennaio gen janeiro januari tammikuuta tammikuu tammi stycznia styczen sty "
    "ledna leden led januara ianuarie ian януари яну января январь янв січня січень січ студзеня студзень сту јануар јан "
    "sijecnja sijecanj sij јануари ιανουαριου ιανουαριοσ ιαν ocak oca जनवरी जन জানুয়ারি জানু يناير ינואר ינו jaanuar jaan "
    "janvaris sausio sausis saus gener xaneiro xan januarie janner",
    "february feb februar fevrier fevr febrero febbraio fevereiro fev februari helmikuuta helmikuu helmi lutego luty lut "
    "unora unor uno februara febr februarie февруари фев февраля февраль февр лютого лютии лют лютага люты фебруар феб "
    "veljace veljaca velj φεβρουαριου φεβρουαριοσ φεβ subat sub फ़रवरी फ़र ফেব্রুয়ারি ফেব فبراير פברואר פבר veebruar veebr "
    "februaris vasario vasaris vas febrer febreiro pebrero peb feber",
    "march mar marz mars marzo marco maart mrt marts maaliskuuta maaliskuu maalis marca marzec brezna brezen bre marec "
    "marcius marc martie март марта мар березня березень бер сакавіка сакавік сак mart ozujka ozujak ozu μαρτιου μαρτιοσ "
    "μαρ maret mac मार्च মার্চ مارس מרץ kovo kovas kov marso mrz",
    "april apr avril avr abril abr aprile huhtikuuta huhtikuu huhti kwietnia kwiecien kwi dubna duben dub aprila aprilis "
    "aprilie април апр апреля апрель квітня квітень квіт красавіка красавік кра travnja travanj tra απριλιου απριλιοσ απρ "
    "nisan nis अप्रैल এপ্রিল এপ্রি أبريل אפריל אפר aprill balandzio balandis bal",
    "may mai mayo maggio mag maio mei maj toukokuuta toukokuu touko maja kvetna kveten kve majus маи мая травня травень "
    "трав мај svibnja svibanj svi μαιου μαιοσ μαι mayis मई মে مايو ماي מאי maijs geguzes geguze geg maig",
    "june jun juni juin junio giugno giu junho kesakuuta kesakuu kesa czerwca czerwiec cze cervna cerven cvn juna junius "
    "iunie iun юни июня июнь июн червня червень черв чэрвеня чэрвень чэр јун lipnja lipanj junij јуни ιουνιου ιουνιοσ ιουν "
    "haziran haz जून জুন يونيو יוני juuni junijs birzelio birzelis birz juny xuno junie hunyo hun",
    "july jul juli juillet juil julio luglio lug julho heinakuuta heinakuu heina lipca lipiec cervence cervenec cvc jula "
    "julius iulie iul юли июля июль июл липня липень лип ліпеня ліпень ліп јул srpnja srpanj julij јули ιουλιου ιουλιοσ "
    "ιουλ temmuz tem julai जुलाई जुल জুলাই জুল يوليو يوليوز יולי juuli julijs liepos liepa liep juliol xullo xul julie "
    "hulyo hul",
    "august aug aout agosto ago augustus augusti elokuuta elokuu elo sierpnia sierpien sie srpna srpen augusta augusztus "
    "август авг августа серпня серпень серп жніуня жнівень жні avgust avg kolovoza kolovoz kol αυγουστου αυγουστοσ αυγ "
    "agustos agu agustus ogos ogo अगस्त अग আগস্ট আগ أغسطس غشت אוגוסט אוג augusts rugpjucio rugpjutis rugp agust agost ag",
    "september sep sept septembre septiembre settembre set setembro syyskuuta syyskuu syys wrzesnia wrzesien wrz zari zar "
    "septembra szeptember szept septembrie септември сеп сентября сентябрь сент вересня вересень вер верасня верасень "
    "септембар septembar rujna rujan ruj σεπτεμβριου σεπτεμβριοσ σεπ eylul eyl सितंबर सित সেপ্টেম্বর সেপ সেপ্ট سبتمبر شتنبر "
    "ספטמבר ספט septembris rugsejo rugsejis rugs setembre setyembre setiembre",
    "october oct oktober okt octobre octubre ottobre ott outubro out lokakuuta lokakuu loka pazdziernika pazdziernik paz "
    "rijna rijen rij oktobra octombrie октомври окт октября октябрь жовтня жовтень жовт кастрычніка кастрычнік кас октобар "
    "oktobar οκτωβριου οκτωβριοσ οκτ ekim eki अक्टूबर अक्टू অক্টোবর অক্টো أكتوبر אוקטובר אוק oktoober oktobris spalio "
    "spalis spal oktubre",
    "november nov novembre noviembre novembro marraskuuta marraskuu marras listopadu novembra noiembrie ноември ное ноября "
    "ноябрь нояб листопада листопад лист лістапада лістапад ліс новембар нов novembar studenoga studeni stu νοεμβριου "
    "νοεμβριοσ νοε kasim kas नवंबर नव নভেম্বর নভে نوفمبر نونبر נובמבר נוב novembris lapkricio lapkritis lapkr nobyembre nob",
    "december dec dezember dez decembre diciembre dic dicembre dezembro desember des joulukuuta joulukuu joulu grudnia "
    "grudzien gru prosince prosinec pro decembra decembrie декември дек декабря декабрь грудня грудень груд снежня снежань "
    "сне децембар дец decembar prosinca prosinac δεκεμβριου δεκεμβριοσ δεκ aralik ara disember dis दिसंबर दिस ডিসেম্বর ডিসে "
    "ديسمبر دجنبر דצמבר דצמ detsember dets decembris gruodzio gruodis gruod desembre decembro disyembre",
)
_BY_LANGUAGE: Final = {
    "listopad": {"hr": 10, "cs": 11, "pl": 11}, "listopada": {"hr": 10, "pl": 11}, "lis": {"hr": 10, "cs": 11, "pl": 11},
    "lip": {"hr": 6, "pl": 7}, "srp": {"hr": 7, "cs": 8},
}  # fmt: skip
# Names that stand beside numbers as other words do, as in "4 out of 5".
_OTHER_WORDS: Final = frozenset({"list", "лист"})
_ENGLISH: Final = frozenset({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mai", "maj"})
_MARKS: Final = dict.fromkeys(range(0x300, 0x370))  # accents, after decomposition


def month(name: str, language: str = "") -> int | None:
    """Return the month of this name, 1 to 12; None if it is none, or two and the language does not decide.

    language: a tag as in <html lang>, such as "pl-PL".
    """
    plain = _plain(name)
    names = _months()
    if plain.startswith("ב") and plain not in names:  # Hebrew: "in May"
        plain = plain[1:]
    if plain in _BY_LANGUAGE:
        return _BY_LANGUAGE[plain].get(language.lower().partition("-")[0])
    return names.get(plain)


def is_month(word: str) -> bool:
    """Tell whether a word beside a number is the name of a month and hardly anything else."""
    plain = _plain(word)
    is_long = len(plain) > 3 and plain not in _OTHER_WORDS
    return (is_long or plain in _ENGLISH) and (plain in _BY_LANGUAGE or month(plain) is not None)


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFD", name.casefold()).translate(_MARKS)
    return unicodedata.normalize("NFC", decomposed).replace("ı", "i").rstrip(".॰׳")


@cache
def _months() -> dict[str, int]:
    return {name: place for place, names in enumerate(_NAMES, 1) for name in names.split()}
