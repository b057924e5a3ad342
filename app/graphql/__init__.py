"""The GraphQL face: the schema over the use-cases, and what carries it over HTTP and WebSocket."""
