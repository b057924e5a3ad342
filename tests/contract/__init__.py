"""Black-box tests over real HTTP and WebSocket, and of every promise that clients rely on."""
