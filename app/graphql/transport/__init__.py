"""The transport of the schema: operations over HTTP, event streams and WebSocket, with limits and masked errors."""
