"""The scope that an operation needs first. It is judged before variables are, so that those cost nothing without it."""

from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLNonNull, OperationType

from app.auth import Viewer
from app.errors import Forbidden
from app.graphql.compiled import CompiledOperation
from app.graphql.transport import masking

_DEFINITION = "strawberry-definition"


class FirstScope:
    """The scope of an operation's first root field, if a viewer without it gets nothing else of the operation.

    Mutations end with the first field that fails. A query with other fields has their answers, and a subscription's
    source says itself that it cannot start: both are executed.
    """

    def __init__(self, operation: CompiledOperation) -> None:
        self._scope: Any = None
        node, schema = operation.node, operation.schema
        selections = node.selection_set.selections
        first = next(iter(selections), None)  # `query { }` is valid
        root = schema.get_root_type(node.operation)
        is_first_all = len(selections) == 1 or node.operation is OperationType.MUTATION
        if not (isinstance(first, FieldNode) and is_first_all and root is not None) or first.directives:
            return
        definition = schema.get_field(root, first.name.value)
        is_nullable = definition is None or not isinstance(definition.type, GraphQLNonNull)
        if definition is None or node.operation is OperationType.SUBSCRIPTION or (is_nullable and len(selections) > 1):
            return
        self._scope = getattr(definition.extensions.get(_DEFINITION), "scope", None)
        self._field = first
        self._key = first.alias.value if first.alias else first.name.value
        self._is_nullable = is_nullable

    def refusal(self, viewer: Viewer) -> dict[str, Any] | None:
        """The answer to a viewer without the scope: the same as if the operation were executed. None if it may run."""
        if self._scope is None or self._scope in viewer.scopes:
            return None
        try:
            viewer.require(self._scope)
        except Forbidden as error:
            located = GraphQLError(error.message, [self._field], path=[self._key], original_error=error)
            return {"data": {self._key: None} if self._is_nullable else None, "errors": [masking.render(located)]}
        return None
