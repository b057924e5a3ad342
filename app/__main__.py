"""The program `outdial`, and `python -m app`: the command line, which Ctrl-C may end from its first moment on."""

import gc
import os
import signal
import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt is no traceback, even while the modules are being imported."""
    try:
        is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_usual:
            # Nothing is open yet. An exception could be lost: Python drops one that is raised in a callback.
            signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
        # Nothing that is imported is garbage: to look for some would take a tenth of the start.
        gc.disable()
        from app import cli

        gc.freeze()
        gc.enable()
        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
