"""Documents: parsed, measured and validated once, and then remembered with their operations."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    validate,
)
from graphql.validation import NoFragmentCyclesRule, ValuesOfCorrectTypeRule, specified_rules
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.field import StrawberryField

from app import rates
from app.errors import LimitExceeded
from app.graphql.compiled import CompiledOperation, Compiler
from app.graphql.transport import forms, limits, masking, shapes
from app.graphql.transport.literals import LiteralsRule
from app.graphql.transport.scopes import FirstScope

CACHED_DOCUMENTS_MAX = 1_000
CACHED_CHARACTERS_MAX = 500_000
"""A parsed document takes about a hundred times its text: this is 50 MB."""
_NAMES = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
ERRORS_MAX = 10
"""Of a document's validation, which stops at the next one: to make a message may take longer than to find its error."""
_RULES = (
    *(LiteralsRule if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


@dataclass(frozen=True, slots=True)
class Document:
    """A document that passed all checks that do not depend on variables. Its operations by name, "" if it has none."""

    query: str
    tokens: int
    node: DocumentNode
    plans: dict[str, limits.Plan]
    compiled: dict[str, CompiledOperation]
    scopes: dict[str, FirstScope]
    beginnings: dict[str, str]
    dialing: frozenset[str]
    """The operations that are all dialers' calls,"""
    reports: frozenset[str]
    """and those of them with a report, if they ask for no pages."""


class Documents:
    """Those that were used last.

    Args:
        schema: to which they must be valid.
        compiler: of their operations.
    """

    def __init__(self, schema: strawberry.Schema, compiler: Compiler) -> None:
        self._schema = schema._schema  # noqa: SLF001 - strawberry's public way validates each request again
        self._compiler = compiler
        self.kept: OrderedDict[str, Document] = OrderedDict()
        """By their text, the last used one last."""
        self.kept_characters = 0
        mutations = self._schema.mutation_type
        fields = {} if mutations is None else mutations.fields
        self._dialing = frozenset(name for name, field in fields.items() if _is_dialing(field))
        self._reports = frozenset(name for name, field in fields.items() if _is_report(field))

    def of(self, query: str) -> Document:
        """The document of a text.

        Raises:
            NotExecuted: it is too large, malformed or invalid.
        """
        return self.known(query) or self.keep(self.read(query))

    def known(self, query: str) -> Document | None:
        """The document of a text, if it is kept."""
        document = self.kept.get(query)
        if document is not None:
            self.kept.move_to_end(query)
        return document

    def keep(self, document: Document) -> Document:
        """Remember a document. Only valid ones are: invalid ones would push them out."""
        kept = self.kept.setdefault(document.query, document)
        if kept is document:
            self.kept_characters += len(document.query)
        while self.kept_characters > CACHED_CHARACTERS_MAX or len(self.kept) > CACHED_DOCUMENTS_MAX:
            oldest, _ = self.kept.popitem(last=False)
            self.kept_characters -= len(oldest)
        return document

    def kind(self, query: str) -> rates.Kind:
        """What a text can be at most, judged by the names in it: it need not be a document."""
        words = set(_NAMES.findall(query))
        if words & self._reports:
            return rates.Kind.REPORT
        return rates.Kind.CLAIM if words & self._dialing else rates.Kind.OPERATION

    def read(self, query: str) -> Document:
        """Parse, measure and validate a text. It uses nothing that changes, so it may run in any thread.

        Raises:
            NotExecuted: it is too large, malformed or invalid.
        """
        tokens = 0
        try:
            node = _parse(query)
            tokens = node.token_count or 0
            is_cyclic = forms.check_shape(node)
        except LimitExceeded as error:
            raise masking.refuse(error).after(tokens or _tokens_of_refused(query, error)) from None
        except GraphQLError as error:
            tokens = _tokens_of_refused(query, error)
            raise masking.refuse_request([error], masking.GRAPHQL_PARSE_FAILED).after(tokens) from None
        rules = (NoFragmentCyclesRule,) if is_cyclic else _RULES
        if errors := validate(self._schema, node, rules, ERRORS_MAX):
            raise masking.refuse_request(errors, masking.GRAPHQL_VALIDATION_FAILED).after(tokens)
        compiled = self._compiler.operations(node)
        plans = limits.plan_operations(self._schema, node)
        scopes = {name: FirstScope(operation) for name, operation in compiled.items()}
        roots = self._mutations(node)
        dialing = frozenset(name for name, fields in roots.items() if fields and all(map(_is_dialing, fields)))
        reports = frozenset(name for name in dialing if any(map(_is_report, roots[name])) and not plans[name].has_pages)
        return Document(query, tokens, node, plans, compiled, scopes, shapes.beginnings(node), dialing, reports)

    def _mutations(self, document: DocumentNode) -> dict[str, list[GraphQLField]]:
        """The fields of each mutation of a valid document, by the operation's name."""
        mutations = self._schema.mutation_type
        if mutations is None:
            return {}
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        return {
            node.name.value if node.name else "": [
                mutations.fields[name]
                for name in _root_fields(node.selection_set, fragments)
                if name in mutations.fields  # not __typename
            ]
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        }


def _parse(query: str) -> DocumentNode:
    if fault := forms.fault_of_texts(query, None):
        raise LimitExceeded(fault)
    try:
        return parse(query, max_tokens=forms.QUERY_TOKENS_MAX)
    except GraphQLSyntaxError as error:
        if "nested too deeply" in error.message:
            too_deep = f"The document is nested too deep: at most {forms.SYNTAX_NESTING_MAX} levels."
            raise LimitExceeded(too_deep) from None
        if "Parsing aborted" in error.message:
            raise LimitExceeded(
                f"The document has too many tokens: at most {forms.QUERY_TOKENS_MAX:,}. Send long values as variables."
            ) from None
        raise


def _tokens_of_refused(query: str, error: Exception) -> int:
    """About how many tokens were read until the error. A token with the space behind it has two characters or more."""
    if len(query) > forms.QUERY_CHARACTERS_MAX:
        return 0
    read = max(error.positions or (0,)) if isinstance(error, GraphQLError) else len(query)
    return min(read // 2, forms.QUERY_TOKENS_MAX)


def _is_dialing(field: GraphQLField) -> bool:
    return _says(field, "is_dialing")


def _is_report(field: GraphQLField) -> bool:
    return _says(field, "is_report")


def _says(field: GraphQLField, what: str) -> bool:
    definition = field.extensions.get("strawberry-definition")
    return isinstance(definition, StrawberryField) and bool(definition.metadata.get(what))


def _root_fields(selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    """The names of an operation's fields, of a valid document."""
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, FragmentSpreadNode):
            yield from _root_fields(fragments[node.name.value].selection_set, fragments)
        elif isinstance(node, InlineFragmentNode):
            yield from _root_fields(node.selection_set, fragments)
