"""What GraphQL and REST read from an HTTP request or a WebSocket handshake: its body and its token."""
