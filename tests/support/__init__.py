"""What tests share: databases, servers, clients, factories."""
