"""Files sent to a server and fetched from it, from the command line: a client like any other, over HTTP alone."""
