"""What work costs, in points. A point is about a millisecond of one core. Pure.

One number for all that counts: the limit of an operation, its customer's rate limit, and what a client that asks gets.
"""

POINTS_MAX = 2_500
"""Of one operation: about two and a half seconds."""
FIELDS_EACH = 125
CHARACTERS_EACH = 262_144
ROWS_EACH = 10
"""Written rows."""
DOCUMENT_CHARACTERS_EACH = 1_000
"""Of the document's text."""
TOKENS_EACH = 100
"""Of a document that is parsed and validated, because it is not among those that the server remembers."""
SENT_BYTES_EACH = 16_384
"""Of a file that is sent out, about a hundred rows, and of a subscription's message."""
DECODED_BYTES_EACH = 131_072
"""Of a large body or message, as JSON."""
LONG_POINTS = 10
"""Of fields and characters: half of a page of 100 with everything."""
SEARCH_POINTS = 10
"""A search may look at every row of a list. Mostly an index, or a short list, makes it quick."""
FILE_POINTS = 100
"""To begin with a file, in or out."""
SUBSCRIPTION_POINTS = 5
"""To begin with one. Its messages are charged as they are made."""


def points(*, fields: int, characters: int = 0, searches: int = 0, rows: int = 0, document: int = 0) -> int:
    """The cost of an operation or a call, at least 1.

    Args:
        fields: in the answer, at most.
        characters: of all those fields, at most.
        searches: pages with a condition, and counts.
        rows: that are written, at most.
        document: characters of the document's text.
    """
    return (
        1
        + fields // FIELDS_EACH
        + characters // CHARACTERS_EACH
        + searches * SEARCH_POINTS
        + rows // ROWS_EACH
        + document // DOCUMENT_CHARACTERS_EACH
    )


def is_long(*, fields: int, characters: int) -> bool:
    """Whether an answer takes so long to compute that others should not have to wait for several."""
    return fields // FIELDS_EACH + characters // CHARACTERS_EACH >= LONG_POINTS


def reading(tokens: int) -> int:
    """The cost of parsing and validating a document, besides that of its text."""
    return tokens // TOKENS_EACH


def decoding(size: int) -> int:
    """The cost of so many bytes of JSON."""
    return size // DECODED_BYTES_EACH


def subscription(*, document: int) -> int:
    """The cost of a subscription's begin, whatever it asks for: after a restart, thousands begin at once."""
    return SUBSCRIPTION_POINTS + document // DOCUMENT_CHARACTERS_EACH


def message(size: int) -> int:
    """The cost of a subscription's message with so many bytes, however many subscribers get it."""
    return 1 + size // SENT_BYTES_EACH
