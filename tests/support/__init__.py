"""Shared by tests: databases, servers, clients, factories."""
