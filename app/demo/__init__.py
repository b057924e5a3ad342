"""The demo: a server, sample outdials and the reference dialer at work, in one command."""


def run(port: int) -> None:
    """Serve the demo until Ctrl-C.

    Args:
        port: to listen on; 0 takes a free one.
    """
    # Not before it is needed: `outdial dial` has no use for a server.
    from app.demo import stage

    stage.run(port)
