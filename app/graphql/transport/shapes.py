"""What two subscriptions must have in common so that one message fits both.

That is the customer, the scopes, the document, the operation's name and the variables. Only where they begin may
differ: a variable that nothing but the argument `after` of the subscription's field uses.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution import VariableValues

from app.auth import Scope, Viewer
from app.errors import LimitExceeded
from app.graphql.transport import masking

BEGINNING = "after"
"""The argument of a subscription's field that says where to begin, and nothing else."""
VARIABLES_BYTES_MAX = 65_536
"""Of a subscription, as JSON: they are kept as long as it lives. A filter with 100 ids takes 4 kB."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Shape:
    """One for all subscriptions whose messages are the same. Compared by identity."""

    customer_id: str
    scopes: frozenset[Scope]
    query: str
    name: str
    variables: bytes
    members: int = 0
    coerced: VariableValues | None = None
    """The first one's, for all of them: they take more memory than the rest of a subscription."""


def declared(operation: OperationDefinitionNode, variables: dict[str, Any] | None) -> dict[str, Any]:
    """The variables that the operation declares. A client may send others, of any length.

    Raises:
        NotExecuted: they have more than VARIABLES_BYTES_MAX. They stay in memory for as long as the subscription.
    """
    names = [node.variable.name.value for node in operation.variable_definitions or ()]
    given = {name: variables[name] for name in names if name in variables} if variables else {}
    try:
        size = len(orjson.dumps(given))
    except TypeError:  # an integer of more than 64 bits
        size = len(repr(given))
    if size > VARIABLES_BYTES_MAX:
        message = f"The variables of a subscription have at most {VARIABLES_BYTES_MAX:,} bytes as JSON."
        raise masking.refuse(LimitExceeded(message))
    return given


class Shapes:
    """Those of the subscriptions that are open."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple[Any, ...], Shape] = WeakValueDictionary()

    def of(
        self, viewer: Viewer, query: str, name: str, variables: dict[str, Any] | None, beginning: str | None
    ) -> Shape | None:
        """The shape of a subscription; None if its variables cannot be compared.

        Args:
            viewer: whose it is.
            query: the document.
            name: of the operation.
            variables: as the client sent them.
            beginning: the name of the variable that may differ; None if there is none.
        """
        given = {key: value for key, value in (variables or {}).items() if key != beginning}
        try:
            key = (viewer.customer_id, viewer.scopes, query, name, orjson.dumps(given, option=orjson.OPT_SORT_KEYS))
        except TypeError:  # an integer of more than 64 bits
            return None
        shape = self._open.get(key)
        if shape is None:
            shape = self._open[key] = Shape(*key)
        return shape


def beginnings(document: DocumentNode) -> dict[str, str]:
    """The variable that says where to begin, of each subscription of a valid document that has one; "" has no name."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode) and node.operation is OperationType.SUBSCRIPTION:
            name = _beginning(_root(node, fragments))
            if name is not None and _uses(document, name) == 1:
                found[node.name.value if node.name else ""] = name
    return found


def _root(node: Any, fragments: dict[str, FragmentDefinitionNode]) -> FieldNode:
    """A subscription's only field, which a fragment may hold."""
    while not isinstance(node, FieldNode):
        if isinstance(node, FragmentSpreadNode):
            node = fragments[node.name.value]
        node = node.selection_set.selections[0]
    return node


def _beginning(field: FieldNode) -> str | None:
    for argument in field.arguments or ():
        if argument.name.value == BEGINNING and isinstance(argument.value, VariableNode):
            return argument.value.name.value
    return None


class _Uses(Visitor):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.number = -1  # the definition names it too

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.number += node.name.value == self._name


def _uses(document: DocumentNode, name: str) -> int:
    """How often the variable is used in all of the document: in other operations too, which shares less than it may."""
    uses = _Uses(name)
    visit(document, uses)
    return uses.number
