"""The failure that ends a transfer; apart from the rest, because the command line knows it from its start."""


class TransferFailed(Exception):  # noqa: N818 - an answer of the server
    """An error that another try does not solve. The message is for the person who runs the command."""
