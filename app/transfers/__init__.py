"""Sends files to a server and fetches them, from the command line: a client like any other, only over HTTP."""
