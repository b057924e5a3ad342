"""What refuses an address. Pure, no I/O."""


class InvalidAddress(ValueError):  # noqa: N818 - said of a value, as the errors of app.errors are
    """The text is no address of that type. The message never repeats it, so it may be shown and logged."""
