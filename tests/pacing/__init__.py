"""Pace and schedule: how fast a list is called, from when and until when, however many dialers claim at once."""
