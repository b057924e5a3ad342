"""Spans: from the request over the operation to the statement, with nothing of a customer in them."""
