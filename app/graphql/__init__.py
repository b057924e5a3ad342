"""GraphQL: the schema over the use-cases, and its transport over HTTP and WebSocket."""
