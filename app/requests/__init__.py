"""What both faces read from an HTTP request or a WebSocket handshake: its body and its token."""
