"""A list and a model of it, side by side, whatever happens to its targets."""

import pytest

pytest.register_assert_rewrite("tests.state_machine.machine")  # so that a failure says what was not equal
