"""Caps: how often a person is called at most, across targets and lists, however many dialers claim at once."""
