"""The error for text that is not an address. Pure, no I/O."""


class InvalidAddress(ValueError):  # noqa: N818 - the name describes a value, like those of app.errors
    """The text is not an address of that type. The message does not contain the text, so it can be shown and logged."""
