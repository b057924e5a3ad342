"""The tests: one file per room of the same name, and the promises in contract/."""
