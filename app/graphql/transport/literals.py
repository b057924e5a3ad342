"""Values that are written into a document: the rule about them, at a bounded cost."""

from contextlib import suppress

from graphql import GraphQLError, GraphQLInputType, ValueNode
from graphql.language import SKIP, VisitorAction
from graphql.utilities import validate_input_literal
from graphql.validation import ValuesOfCorrectTypeRule

QUOTED_CHARACTERS_MAX = 500
"""A longer literal has one error: each message prints all of the object that it is about."""


class LiteralsRule(ValuesOfCorrectTypeRule):
    """graphql-core's rule. It reports all errors of a short literal, and the first of a long one.

    Each error has a text of the object that it is about, which may be nearly the whole document. To make a hundred of
    them took seconds.
    """

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        """Check a literal, with all that is in it."""
        if input_type is None:
            return SKIP
        is_long = node.loc is None or node.loc.end - node.loc.start > QUOTED_CHARACTERS_MAX

        def report(error: GraphQLError, _path: list[str | int]) -> None:
            self.report_error(error)
            if is_long:
                raise _Enough

        with suppress(_Enough):
            validate_input_literal(node, input_type, report, None, None, self.context.hide_suggestions)
        return SKIP


class _Enough(Exception):  # noqa: N818 - ends a check
    """A long literal has an error."""
