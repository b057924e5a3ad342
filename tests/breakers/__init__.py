"""Breakers: when a list stops by itself, and goes on."""
