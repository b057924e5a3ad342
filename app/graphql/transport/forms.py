"""What a document may look like, whatever it asks for: how long, how deep and how wide. Pure.

It is checked before validation, and so limits the cost of that. Each fragment is walked once, however often it stands.
"""

from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from graphql.language.parser import MAX_NESTING_DEPTH

from app.errors import LimitExceeded

QUERY_CHARACTERS_MAX = 100_000
REQUESTED_NAME_CHARACTERS_MAX = 255
"""Of operationName, by which a request chooses an operation."""
QUERY_TOKENS_MAX = 5_000
"""Parsing and validating so many takes about 0.05 seconds. Rows of a batch belong in variables."""
DEPTH_MAX = 15
INTROSPECTION_DEPTH_MAX = 20
"""GraphiQL's own query is 15 fields deep; `__schema` and `__type` are counted apart."""
NESTING_MAX = 50
"""Selection sets inside each other, fragments included. Limits every recursion over a document."""
SYNTAX_NESTING_MAX = MAX_NESTING_DEPTH
"""Braces and brackets inside each other, which graphql-core's parser limits."""
FRAGMENTS_MAX = 100
OPERATIONS_MAX = 100
"""Of a document: validation walks all its fragments again for each of them."""
ROOT_FIELDS_MAX = 50
ALIASES_MAX = 100
"""Aliases, and repeated fields in one selection set: validation compares all pairs of them."""
REPEATED_FIELDS_MAX = 10_000
"""Pairs of fields with one name that fragments bring together, with the fields inside of them: validation compares all.
Comparing so many takes about a tenth of a second."""


def fault_of_texts(query: str | None, operation_name: str | None) -> str | None:
    """Why a request exceeds a limit before anything looks at its texts; None if they are short enough.

    Of 8 MiB, it takes half a second to search the one for names, and to look for the other holds the loop, too.
    """
    if query is not None and len(query) > QUERY_CHARACTERS_MAX:
        return f"The document is too long: at most {QUERY_CHARACTERS_MAX:,} characters."
    if operation_name is not None and len(operation_name) > REQUESTED_NAME_CHARACTERS_MAX:
        return f"operationName is too long: at most {REQUESTED_NAME_CHARACTERS_MAX} characters."
    return None


def check_shape(document: DocumentNode) -> bool:
    """Refuse a document that is too deep or too wide.

    Returns:
        Whether a fragment spreads itself, so that the document is invalid, and everything else about it unknown.

    Raises:
        LimitExceeded: says what is too large, and the limit.
    """
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    if len(fragments) > FRAGMENTS_MAX:
        raise LimitExceeded(f"Too many fragments: a document has at most {FRAGMENTS_MAX}.")
    shapes = _Shapes({node.name.value: node for node in fragments})
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) > OPERATIONS_MAX:
        raise LimitExceeded(f"Too many operations: a document has at most {OPERATIONS_MAX}.")
    for operation in operations:
        shape = shapes.of(operation.selection_set, 1)
        if shape.depth > DEPTH_MAX:
            raise LimitExceeded(f"Fields are nested too deep: at most {DEPTH_MAX} levels.")
        if shape.introspection_depth > INTROSPECTION_DEPTH_MAX:
            raise LimitExceeded(f"Introspection is nested too deep: at most {INTROSPECTION_DEPTH_MAX} levels.")
        if shape.width > ROOT_FIELDS_MAX:
            raise LimitExceeded(f"Too many root fields: an operation has at most {ROOT_FIELDS_MAX}.")
    for fragment in fragments:
        # Validation refuses a fragment that no operation spreads, and that must not be costly either.
        shapes.of_fragment(fragment.name.value, 1)
    if shapes.aliases > ALIASES_MAX:
        raise LimitExceeded(f"Too many aliases and repeated fields: a document has at most {ALIASES_MAX}.")
    if shapes.repeated > REPEATED_FIELDS_MAX and not shapes.is_cyclic:
        raise LimitExceeded(
            f"Fragments bring together too many pairs of the same fields: at most {REPEATED_FIELDS_MAX:,}. Spread "
            "fewer fragments that have the same fields."
        )
    return shapes.is_cyclic


@dataclass(slots=True)
class _Shape:
    depth: int = 0
    introspection_depth: int = 0
    nesting: int = 0
    width: int = 0
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By the name in the response: how many fields have it, with fragments, and the fields inside of the largest."""
    fields: int = 0
    """Of all levels, with fragments as often as they are spread."""


_NO_SHAPE = _Shape()


class _Shapes:
    """Measures selection sets, each fragment once."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self.aliases = 0
        self.repeated = 0
        self.is_cyclic = False
        self._fragments = fragments
        self._known: dict[str, _Shape] = {}
        self._begun: set[str] = set()

    def of(self, selection_set: SelectionSetNode, level: int) -> _Shape:
        if level > NESTING_MAX:
            raise LimitExceeded(f"Selections are nested too deep: at most {NESTING_MAX} levels, with fragments.")
        shape = _Shape(nesting=1)
        keys: set[str] = set()
        if not selection_set.selections:
            # It counts as a field. Else fragments that spread an empty one twice, and each other, would count as
            # nothing, and walking them would have no end.
            shape.width = shape.fields = 1
            _add(shape, "", 1, 1)
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                self.aliases += selection.alias is not None or key in keys
                keys.add(key)
                inner = self.of(selection.selection_set, level + 1) if selection.selection_set else _NO_SHAPE
                shape.width += 1
                _add(shape, key, 1, inner.fields + 1)
                shape.fields += inner.fields + 1
                if selection.name.value in {"__schema", "__type"}:
                    shape.introspection_depth = max(shape.introspection_depth, inner.depth + 1)
                else:
                    shape.depth = max(shape.depth, inner.depth + 1)
                    shape.introspection_depth = max(shape.introspection_depth, inner.introspection_depth)
            else:
                inner = (
                    self.of_fragment(selection.name.value, level + 1)
                    if isinstance(selection, FragmentSpreadNode)
                    else self.of(selection.selection_set, level + 1)  # type: ignore[attr-defined]
                )
                shape.width += inner.width
                shape.fields += inner.fields
                for key, (count, fields) in inner.keys.items():
                    _add(shape, key, count, fields)
                shape.depth = max(shape.depth, inner.depth)
                shape.introspection_depth = max(shape.introspection_depth, inner.introspection_depth)
            shape.nesting = max(shape.nesting, inner.nesting + 1)
        self.repeated += sum(count * (count - 1) // 2 * fields for count, fields in shape.keys.values() if count > 1)
        return shape

    def of_fragment(self, name: str, level: int) -> _Shape:
        shape = self._known.get(name)
        if shape is None:
            self._known[name] = _NO_SHAPE  # ends a cycle, which validation refuses, and an unknown name
            self._begun.add(name)
            fragment = self._fragments.get(name)
            shape = self.of(fragment.selection_set, level) if fragment else _NO_SHAPE
            self._begun.discard(name)
            self._known[name] = shape
        elif name in self._begun:
            self.is_cyclic = True
        elif level + shape.nesting > NESTING_MAX + 1:
            raise LimitExceeded(f"Selections are nested too deep: at most {NESTING_MAX} levels, with fragments.")
        return shape


def _add(shape: _Shape, key: str, count: int, fields: int) -> None:
    known, largest = shape.keys.get(key, (0, 0))
    shape.keys[key] = known + count, max(largest, fields)
