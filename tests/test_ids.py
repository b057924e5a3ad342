"""Ids: canonical UUID text, ascending."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import ids


def test_ids_are_version_seven_and_ascend():
    made = [ids.new() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert {uuid.UUID(text).version for text in made} == {7}
    assert all(ids.parse(text) == text for text in made)


@given(st.uuids())
def test_every_uuid_parses_to_its_canonical_form(value):
    assert ids.parse(str(value)) == str(value)
    assert ids.parse(str(value).upper()) == str(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0123456789abcdef0123456789abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567-89ab-cdef-0123-456789abcdef\n",
        " 01234567-89ab-cdef-0123-456789abcdef",
        "0123456789ab-cdef-0123-4567-89abcdef",
        "\u06601234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcde\0",
    ],
)
def test_any_other_form_is_malformed(text):
    assert ids.parse(text) is None


@given(st.text())
def test_no_text_makes_parsing_raise(text):
    parsed = ids.parse(text)
    assert parsed is None or str(uuid.UUID(parsed)) == parsed


def test_the_zero_id_is_an_id():
    assert ids.parse(ids.ZERO) == ids.ZERO
