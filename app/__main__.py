"""The program `outdial`, and `python -m app`: the command line, which Ctrl-C may end from its first moment on."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt is no traceback, even while the modules are being imported."""
    try:
        from app import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
