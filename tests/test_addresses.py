"""Addresses: what is accepted, and the one form it is kept in."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import addresses
from app.addresses import ADDRESS_CHARACTERS_MAX, DestinationType, InvalidAddress

NUMBERS = (DestinationType.TEL, DestinationType.WHATSAPP)
PLAIN = tuple(
    sorted(set(DestinationType) - {*NUMBERS, DestinationType.EMAIL, DestinationType.SIP}),
)
REGIONS = st.sampled_from([None, "US", "DE", "KR", "IT", "AR", "MX", "BR"])


def canonical(address_type, text, region=None):
    return addresses.canonical(address_type, text, default_region=region)


def refusal(address_type, text, region=None):
    with pytest.raises(InvalidAddress) as caught:
        canonical(address_type, text, region)
    return str(caught.value)


def test_every_type_is_named_by_its_value():
    assert [member.value for member in DestinationType] == [member.name for member in DestinationType]
    assert len(DestinationType) == 12


@pytest.mark.parametrize("address_type", NUMBERS)
@pytest.mark.parametrize(
    ("text", "region", "form"),
    [
        ("+1 (415) 555-0100", None, "+14155550100"),
        ("  +14155550100\n", None, "+14155550100"),
        ("tel:+1-415-555-0100", None, "+14155550100"),
        ("(415) 555-0100", "US", "+14155550100"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("02 3661 8300", "IT", "+390236618300"),
        ("00 82 10 2165 6521", "DE", "+821021656521"),
        ("+82 10 2165 6521", "US", "+821021656521"),
        ("+٤٤ ٢٠٧٩٤٦٠٩٥٨", None, "+442079460958"),
        # No operator has these; length decides, not the assigned range.
        ("+821100000001", None, "+821100000001"),
        ("+821021656521", None, "+821021656521"),
    ],
)
def test_numbers_are_kept_as_e164(address_type, text, region, form):
    assert canonical(address_type, text, region) == form


@pytest.mark.parametrize(
    ("text", "region", "message"),
    [
        ("4155550100", None, "No country code. Start the number with + or choose a region."),
        ("4155550100", "ZZ", "No country code. Start the number with + or choose a region."),
        ("+1415", None, "wrong length"),
        ("+1 415 555 0100 0100 0100", None, "wrong"),
        ("+999 123 456 789", None, "country code is wrong"),
        ("+", None, "wrong"),
        ("()", "US", "wrong"),
        ("+1 415 555 0100 ext 5", None, "extension"),
        ("+14155550100x5", None, "extension"),
        ("+14155550100;ext=5", None, "extension"),
        ("4,155,550,100", "US", "may contain digits"),
        ("(0xx11) 98765-4321", "BR", "may contain digits"),
        ("030,123456", "DE", "may contain digits"),
        ("+14155550100,,5", None, "extension"),
        ("1-800-FLOWERS", "US", "digits, spaces"),
        ("+14155550100 +14155550101", None, "digits, spaces"),
        ("call +14155550100", None, "digits, spaces"),
        ("911", "US", "wrong length"),
        ("110", "DE", "short code"),
        ("5550100", "US", "lacks its area code"),
    ],
)
def test_what_cannot_be_called_from_anywhere_is_refused(text, region, message):
    assert message in refusal(DestinationType.TEL, text, region)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" Ann.Smith+x@EXAMPLE.Com ", "Ann.Smith+x@example.com"),
        ("o'neill@mail.example.co.uk", "o'neill@mail.example.co.uk"),
        ("ann@BÜCHER.example", "ann@bücher.example"),
        ("ann@bu\u0308cher.example", "ann@bücher.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@डाटामेल.भारत"),
    ],
)
def test_mail_addresses_keep_their_name_and_lower_their_domain(text, form):
    assert canonical(DestinationType.EMAIL, text) == form


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "@example.com",
        "ann@",
        "ann@localhost",
        "ann@example..com",
        "ann@.example.com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_mple.com",
        "ann@127.0.0.1",
        "ann@[127.0.0.1]",
        ".ann@example.com",
        "ann.@example.com",
        "a..n@example.com",
        "ann smith@example.com",
        '"ann smith"@example.com',
        "Ann <ann@example.com>",
        "ann@example.com,bob@example.com",
        "ann@example.com bob@example.com",
        "ann@bob@example.com",
        "ann@exa\u200bmple.com",
        "an\u202en@example.com",
        "ann\ufe0d@example.com",
        "ann@example\u3164.com",
        "x" * 65 + "@example.com",
        "ann@" + "x" * 64 + ".com",
        "ann@" + "x.é" * 63 + ".com",
    ],
)
def test_what_is_not_exactly_one_mail_address_is_refused(text):
    assert "e-mail" in refusal(DestinationType.EMAIL, text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Alice@Example.COM", "sip:Alice@example.com"),
        ("SIP:Alice@Example.COM", "sip:Alice@example.com"),
        ("SiPs:Alice@Example.COM:5061;transport=TCP;lr", "sips:Alice@example.com:5061;transport=TCP;lr"),
        (
            "sip:+14155550100@GW.example;user=phone?Subject=Hi%20Ann",
            "sip:+14155550100@gw.example;user=phone?Subject=Hi%20Ann",
        ),
        ("sip:1000;ext=1@10.0.0.1", "sip:1000;ext=1@10.0.0.1"),
        ("sip:Ann@[2001:DB8::0:1]:5060", "sip:Ann@[2001:db8::1]:5060"),
        ("sip:ann:Secret@pbx", "sip:ann:Secret@pbx"),
        ("PBX.example.com.", "sip:pbx.example.com"),
    ],
)
def test_sip_addresses_keep_scheme_user_port_and_parameters(text, form):
    assert canonical(DestinationType.SIP, text) == form


@pytest.mark.parametrize(
    "text",
    [
        "sip:",
        "sip:ann@",
        "sip:@example.com",
        "1000",
        "sip:ann@300.1.1.1",
        "sip:ann@[::1",
        "sip:ann@[::g]",
        "sip:ann@[1.2.3.4]",
        "sip:ann@[fe80::1%eth0]",
        "sip:ann@example.com:0",
        "sip:ann@example.com:65536",
        "sip:ann@exam_ple.com",
        "sip:ann@-example.com",
        "sip:ann@example.com;",
        "sip:ann@bob@example.com",
        "sip:ann smith@example.com",
        "sip:ann%2@example.com",
        "sip:jürgen@example.com",
        "sip:ann\u200b@example.com",
        "sip:ann@exa\ufeffmple.com",
        "mailto:ann@example.com",
        "tel:+14155550100",
        "https://example.com/ann",
    ],
)
def test_what_is_no_sip_uri_is_refused(text):
    assert "SIP" in refusal(DestinationType.SIP, text)


@pytest.mark.parametrize("address_type", PLAIN)
def test_other_types_keep_their_text_without_the_space_around_it(address_type):
    assert canonical(address_type, "  Team Ä 7 ") == "Team Ä 7"
    assert canonical(address_type, "x" * ADDRESS_CHARACTERS_MAX) == "x" * ADDRESS_CHARACTERS_MAX


@pytest.mark.parametrize("address_type", DestinationType)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("x" * 256, "longer than 255"),
        ("a\0b", "control"),
        ("\0", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a\ud800b", "control"),
        ("a\u2028b", "control"),
    ],
)
def test_no_type_takes_empty_long_or_unprintable_text(address_type, text, message):
    assert message in refusal(address_type, text)


@pytest.mark.parametrize("address_type", [*NUMBERS, DestinationType.EMAIL, DestinationType.SIP])
@pytest.mark.parametrize("text", ["+1 415 555 0100 ext 5", "4155550100", "+14155550100:ann@", "x" * 300])
def test_no_refusal_repeats_the_address(address_type, text):
    assert text not in refusal(address_type, text)
    assert "415" not in refusal(address_type, text)


@pytest.mark.parametrize("address_type", DestinationType)
@pytest.mark.parametrize("around", ["\u200b", "\ufeff", "\xa0", "\u202f \u200e", "\u2060\t", "\u202a\u2068", "\xad\n"])
def test_no_type_keeps_marks_that_nobody_sees_around_an_address(address_type, around):
    text = {DestinationType.EMAIL: "ann@example.com", DestinationType.SIP: "sip:ann@pbx"}.get(
        address_type, "+14155550100"
    )
    assert canonical(address_type, f"{around}{text}{around[::-1]}") == text
    assert "empty" in refusal(address_type, around)
    assert addresses.is_blank(around)


@pytest.mark.parametrize("text", ["क्‍ष", "می‌خواهم", "team ❤\ufe0f", "👩\u200d💻"])
def test_other_types_keep_the_joiners_and_selectors_that_a_name_is_written_with(text):
    assert canonical(DestinationType.AGENT, text) == text


def test_an_invisible_mark_within_an_address_is_named():
    for address_type, text in (
        (DestinationType.EMAIL, "an\u200bn@example.com"),
        (DestinationType.SIP, "sip:a\u200b@b"),
    ):
        assert "invisible character" in refusal(address_type, text)


def test_a_form_that_grows_too_long_is_refused():
    assert "longer" in refusal(DestinationType.SIP, "x" * 245 + "@pbx.ex.co")


def test_a_filter_text_means_all_that_it_may_be():
    assert addresses.spellings("(415) 555-0100", "US") == ("+14155550100", "(415) 555-0100")
    assert addresses.spellings(" +14155550100 ", None) == ("+14155550100",)
    assert addresses.spellings("bob@Example.com", None) == (
        "bob@example.com",
        "sip:bob@example.com",
        "bob@Example.com",
    )
    assert addresses.spellings("SIP:Bob@Example.com", None) == ("sip:bob@example.com", "SIP:Bob@Example.com")
    assert addresses.spellings("agent 7", "US") == ("agent 7",)


@pytest.mark.parametrize("text", ["", " ", "\0", "a\0b", "\ud800", "x" * 256])
def test_a_filter_text_that_is_no_address_means_nothing(text):
    assert addresses.spellings(text, "US") == ()


# Random text rarely comes near an address: these begin with one and spoil it.
NUMBER_LIKE = st.text("+\uff0b0123456789\u0664\u06f5 ()-./", max_size=24)
MAIL_LIKE = st.builds("{}@{}.{}".format, st.text(max_size=9), st.text(max_size=9), st.text(max_size=5))
SIP_LIKE = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "sip:", "SIPS:"]),
    st.text("aB1.:@%2fé;?[]", max_size=12),
    st.text("aB1.:@[]-", max_size=12),
    st.text("aB1;=?:&", max_size=8),
)


@given(st.sampled_from(DestinationType), st.text() | NUMBER_LIKE | MAIL_LIKE | SIP_LIKE, REGIONS)
@example(DestinationType.EMAIL, "ann@İstanbul.Σ.example", None)
@example(DestinationType.TEL, "+5491123456789", None)
@example(DestinationType.TEL, "0111523456789", "AR")
def test_the_canonical_form_is_its_own_canonical_form(address_type, text, region):
    try:
        form = canonical(address_type, text, region)
    except InvalidAddress:
        return
    assert form
    assert len(form) <= ADDRESS_CHARACTERS_MAX
    assert canonical(address_type, form, region) == form
    assert canonical(address_type, form) == form  # wherever the server stands that reads it


@given(
    st.sampled_from(["1", "7", "39", "44", "49", "52", "54", "55", "81", "82", "800"]),
    st.text("0123456789", min_size=1, max_size=15),
)
def test_international_numbers_never_change_by_being_read_again(country_code, digits):
    try:
        form = canonical(DestinationType.TEL, f"+{country_code}{digits}")
    except InvalidAddress:
        return
    assert canonical(DestinationType.TEL, form, "DE") == form
    assert form[1:].isdecimal()


@given(st.text() | NUMBER_LIKE | MAIL_LIKE | SIP_LIKE, st.sampled_from(DestinationType), REGIONS)
def test_a_target_is_found_by_the_text_it_was_made_with(text, address_type, region):
    try:
        form = canonical(address_type, text, region)
    except InvalidAddress:
        return
    same = addresses.compared(address_type, form)
    assert same in addresses.spellings(text, region)
    assert same in addresses.spellings(form, region)


@pytest.mark.parametrize(
    ("address_type", "one", "other"),
    [
        (DestinationType.EMAIL, "Ann.Smith@Example.com", "ann.smith@example.com"),
        (DestinationType.EMAIL, "JÜRGEN@example.com", "jürgen@example.com"),
        (DestinationType.EMAIL, "ELİF@example.com", "elif@example.com"),
        (DestinationType.SIP, "sip:Ann@pbx", "ANN@PBX"),
        (DestinationType.SIP, "sip:ann@pbx:5060;transport=tcp", "sips:ann@pbx:5061"),
        (DestinationType.SIP, "sip:ann:secret@pbx?subject=Hi", "sip:ann@pbx"),
        (DestinationType.SIP, "sip:%41nn%2E@pbx", "sip:ann.@pbx"),
        (DestinationType.SIP, "sip:a%c3%bcx@pbx", "sip:a%C3%BCx@pbx"),
        (DestinationType.SIP, "sip:ann@[2001:db8::1]:5060", "sip:ann@[2001:DB8:0::1]"),
    ],
)
def test_spellings_of_one_address_are_compared_as_equal(address_type, one, other):
    first, second = canonical(address_type, one), canonical(address_type, other)
    assert addresses.compared(address_type, first) == addresses.compared(address_type, second)


@pytest.mark.parametrize(
    ("address_type", "one", "other"),
    [
        (DestinationType.EMAIL, "ann+list@example.com", "ann@example.com"),
        (DestinationType.EMAIL, "a.nn@example.com", "ann@example.com"),
        (DestinationType.EMAIL, "strauß@example.com", "strauss@example.com"),
        (DestinationType.SIP, "sip:1001@pbx", "sip:1001@pbx:5080"),
        (DestinationType.SIP, "sip:1001@pbx", "sip:1002@pbx"),
        (DestinationType.SIP, "sip:pbx", "sip:1001@pbx"),
        (DestinationType.SIP, "sip:a%40b@pbx", "sip:ab@pbx"),
        (DestinationType.AGENT, "Ann", "ann"),
    ],
)
def test_other_addresses_are_not(address_type, one, other):
    first, second = canonical(address_type, one), canonical(address_type, other)
    assert addresses.compared(address_type, first) != addresses.compared(address_type, second)


@given(st.sampled_from(DestinationType), st.text())
@example(DestinationType.SIP, "+1555")
def test_what_is_no_address_of_its_type_can_be_compared_too(address_type, text):
    same = addresses.compared(address_type, text)
    assert addresses.compared(address_type, same) == same


@given(st.sampled_from(DestinationType), st.text() | NUMBER_LIKE | MAIL_LIKE | SIP_LIKE, REGIONS)
@example(DestinationType.EMAIL, "İ" * 32 + "@" + "x." * 110 + "ex", None)
@example(DestinationType.SIP, "sip:%2541@pbx", None)
def test_what_is_compared_is_an_address_that_stays_as_it_is(address_type, text, region):
    try:
        form = canonical(address_type, text, region)
    except InvalidAddress:
        return
    same = addresses.compared(address_type, form)
    assert canonical(address_type, same, region) == addresses.compared(address_type, same) == same
    assert len(same) <= ADDRESS_CHARACTERS_MAX
