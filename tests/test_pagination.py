"""Cursors and page requests."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadUserInput
from app.events.cursors import EPOCH_MAX, Position, cursor, position_of
from app.pagination import PageRequest, Place, cursor_of, page_request, place_of

ids = st.uuids().map(str)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(instants, ids)
def test_a_cursor_gives_back_the_place_it_was_made_of(instant: datetime, row_id: str) -> None:
    assert place_of(cursor_of(instant, row_id)) == Place(instant, row_id)


@given(st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: raw.hex()))
def test_what_is_no_cursor_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(BadUserInput):
        place_of(text)
    with pytest.raises(BadUserInput):
        position_of(text, str(UUID(int=1)))


@given(ids, ids, st.integers(0, EPOCH_MAX), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_an_event_cursor_belongs_to_one_outdial(one: str, other: str, epoch: int, tx: int, seq: int) -> None:
    position = Position(epoch, tx, seq)
    assert position_of(cursor(one, position), one) == position
    if one != other:
        with pytest.raises(BadUserInput):
            position_of(cursor(one, position), other)


def test_an_event_cursor_that_no_database_could_hold_is_refused() -> None:
    outdial_id = str(UUID(int=1))
    with pytest.raises(BadUserInput):
        position_of(cursor(outdial_id, Position(EPOCH_MAX + 1, 0, 0)), outdial_id)
    with pytest.raises(BadUserInput):
        position_of(cursor(outdial_id, Position(1, -1, 0)), outdial_id)


def test_a_page_has_fifty_rows_where_nobody_says_otherwise() -> None:
    assert page_request() == PageRequest(size=50, backward=False)
    assert page_request(first=3) == PageRequest(size=3, backward=False)
    assert page_request(last=100) == PageRequest(size=100, backward=True)


@pytest.mark.parametrize(
    "arguments", [{"first": 0}, {"first": 101}, {"last": 0}, {"last": 101}, {"first": 1, "last": 1}]
)
def test_a_page_of_an_impossible_size_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(BadUserInput):
        page_request(**arguments)
