"""Outdial: a GraphQL server for outbound calling lists."""

import sys

if "rich" not in sys.modules:
    # structlog would load rich, for tracebacks that we do not print: 5 MB and 5 % of a server's start.
    sys.modules["rich"] = None  # type: ignore[assignment] # an import of it fails then
    import structlog as structlog

    del sys.modules["rich"]
