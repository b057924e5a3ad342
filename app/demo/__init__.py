"""The demo: a server, sample outdials and the running reference dialer, in one command."""


def run(port: int) -> None:
    """Serve the demo until Ctrl-C.

    Args:
        port: to listen on; 0 chooses a free one.
    """
    # Imported only when needed: `outdial dial` does not use the server.
    from app.demo import stage

    stage.run(port)
