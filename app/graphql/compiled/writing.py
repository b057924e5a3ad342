"""Makes the functions of one operation, for given values of the variables in its @skip and @include.

Which fields are selected, and how fragments merge, is collected by graphql-core itself. For each object type that a
selection can meet, a function is written that reads the record and returns the answer:

    def f2(o, run):
        if o.__class__ not in vetted: return c9(o, run)
        v3 = o.id
        v4 = o.name
        d = {'id': (v3 if v3.__class__ is str else c5(v3)), 'name': …, 'progress': None}
        run.call(0, o, d)
        return d

Records that hold their row (their class has `LAYOUT` and `COLUMNS`) get a function of their own when they are first
met. It reads the row, so that no record is made of it:

    def s2(o, run):
        v3, _, v4, *_ = o.row
        return {'id': v3, 'name': v4}

A call is given what is read of the records in its answer, so that only these columns are asked for.

Fields with a resolver are calls: `run` calls the resolver and writes the field into `d`, now or when its awaitable is
done.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLUnionType,
    OperationType,
    get_named_type,
)
from graphql.execution import Executor, default_type_resolver
from graphql.execution.collect_fields import FieldDetails, collect_fields, collect_subfields
from strawberry.types.field import StrawberryField

from app.graphql.compiled import leaves
from app.graphql.compiled.code import Code, Part, source
from app.graphql.compiled.inputs import Arguments
from app.graphql.compiled.plans import Call, Complete, NotCompiled, Plan, Site
from app.graphql.compiled.stored import StoredRecords

PLAN_FIELDS_MAX = 1_000
"""With every fragment as often as it is spread."""
_READS = "reads"
"""The key in a field's metadata of the values that its resolver reads of its record."""
_DEFINITION = "strawberry-definition"
"""The key under which strawberry keeps its field in the extensions of graphql-core's."""


def make(executor: Executor[Any]) -> Plan:
    """The plan of an executor's operation, for the values of its variables in @skip and @include.

    Raises:
        NotCompiled: only graphql-core can execute the operation.
    """
    return _Writer(executor).plan()


class _Writer:
    def __init__(self, executor: Executor[Any]) -> None:
        self._executor: Any = executor
        self._strawberry: Any = executor.schema._strawberry_schema  # type: ignore[attr-defined]  # noqa: SLF001
        self._code = Code()
        self._stored = StoredRecords(self._code)
        self._reading: list[defaultdict[str, set[str]]] = [defaultdict(set)]
        """For each call that is being written, from the outermost: by object type, what is read of its answer."""
        self._made: list[Call] = []
        self._sequences = self._code.constant(frozenset({list, tuple}))
        self._fields = 0
        self._calls = 0

    def plan(self) -> Plan:
        executor = self._executor
        kind = executor.operation.operation
        root = executor.schema.get_root_type(kind)
        if root is None or self._strawberry.schema_converter.exception_handlers:
            raise NotCompiled
        collected = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, root, executor.operation
        )
        template: dict[str, Any] = {}
        calls: list[Call] = []
        event_calls: list[Call] = []
        event = None
        for name, details in collected.grouped_field_set.items():
            template[name] = None
            if _is_typename(details):
                template[name] = root.name
                continue
            site, definition = self._site(root, name, details, ())
            if definition.is_subscription:
                event = name, self._function(site, details, event_calls)
            elif definition.is_basic_field:
                raise NotCompiled
            else:
                calls.append(self._call(name, site, definition, details))
        if (kind is OperationType.SUBSCRIPTION) != (event is not None and not calls):
            raise NotCompiled
        self._share_reads()
        self._executor = None  # it holds the context of one request
        return Plan(kind, template, calls, event, event_calls, self._calls, self._fields)

    # ------------------------------------------------------------ fields

    def _site(
        self, parent: GraphQLObjectType, name: str, details: list[FieldDetails], path: tuple[str, ...]
    ) -> tuple[Site, StrawberryField]:
        self._fields += 1
        if self._fields > PLAN_FIELDS_MAX:
            raise NotCompiled
        definition = parent.fields.get(details[0].node.name.value)
        found = definition.extensions.get(_DEFINITION) if definition is not None else None
        if definition is None or not isinstance(found, StrawberryField) or found.extensions:
            raise NotCompiled
        return Site(definition, [detail.node for detail in details], parent, (*path, name)), found

    def _call(self, name: str, site: Site, definition: StrawberryField, details: list[FieldDetails]) -> Call:
        inner: list[Call] = []
        self._reading.append(defaultdict(set))
        complete = self._function(site, details, inner)
        reads = {of: frozenset(names) for of, names in self._reading.pop().items()}
        self._calls += 1
        arguments = Arguments(definition, site.definition, site.nodes[0], self._strawberry)
        call = Call(
            self._calls - 1,
            name,
            site,
            definition,
            arguments,
            self._strawberry.config.info_class,
            _takes_record_first(definition),
            complete,
            inner,
            reads,
        )
        self._made.append(call)
        return call

    def _share_reads(self) -> None:
        """Loaders bring together what calls of the same field want, so each call wants what any of them reads."""
        shared: defaultdict[int, defaultdict[str, frozenset[str]]] = defaultdict(lambda: defaultdict(frozenset))
        for call in self._made:
            for of, names in call.reads.items():
                shared[id(call.definition)][of] |= names
        for call in self._made:
            call.reads = shared[id(call.definition)]

    def _function(self, site: Site, details: list[FieldDetails], inner: list[Call]) -> Complete:
        """A function of a field's value."""
        name = self._code.name("g")
        value = self._value(site.definition.type, "o", site, details, inner)
        return self._code.write(name, f"def {name}(o, run):\n return {value}\n")

    # ------------------------------------------------------------ values

    def _value(
        self, of: GraphQLOutputType, value: str, site: Site, details: list[FieldDetails], calls: list[Call]
    ) -> str:
        """An expression for the answer, of a variable that holds the field's value."""
        if isinstance(of, GraphQLNonNull):
            return self._present(of.of_type, value, site, details, calls)
        return f"(None if {value} is None else {self._present(of, value, site, details, calls)})"

    def _present(self, of: Any, value: str, site: Site, details: list[FieldDetails], calls: list[Call]) -> str:
        if isinstance(of, GraphQLScalarType | GraphQLEnumType):
            return leaves.expression(of, value, constant=self._code.constant, vetted=self._code.vetted)
        if isinstance(of, GraphQLList):
            item = self._code.name("x")
            each = self._value(of.of_type, item, site, details, calls)
            other = self._code.constant(self._stored.of_list(each, item, get_named_type(of)))
            made = f"[{each} for {item} in {value}]"
            return f"({made} if {value}.__class__ in {self._sequences} else {other}({value}, run))"
        if isinstance(of, GraphQLObjectType):
            return f"{self._object(of, site, details, calls)}({value}, run)"
        return f"{self._abstract(of, site, details, calls)}({value}, run)"

    def _abstract(
        self,
        of: GraphQLInterfaceType | GraphQLUnionType,
        site: Site,
        details: list[FieldDetails],
        calls: list[Call],
    ) -> str:
        schema, vetted = self._executor.schema, self._code.vetted
        resolve: Callable[..., Any] = of.resolve_type or default_type_resolver
        functions = {
            possible.name: self._code.names[self._object(possible, site, details, calls)]
            for possible in schema.get_possible_types(of)
        }

        def complete(value: Any, run: Any) -> Any:
            if value.__class__ not in vetted:
                vetted.vet(value)
            return functions[resolve(value, run.info(site), of)](value, run)

        return self._code.constant(complete)

    def _object(self, of: GraphQLObjectType, site: Site, details: list[FieldDetails], calls: list[Call]) -> str:
        """The name of a function of a record."""
        executor = self._executor
        collected = collect_subfields(
            executor.schema, executor.fragments, executor.variable_values, executor.operation, of, details
        )
        parts = []
        reads = self._reading[-1][of.name]
        for name, inner in collected.grouped_field_set.items():
            if _is_typename(inner):
                parts.append(Part(f"{name!r}: {of.name!r}"))
                continue
            inner_site, definition = self._site(of, name, inner, site.path)
            if definition.is_basic_field:
                reads.add(definition.python_name)
                value = self._code.name("v")
                made = self._value(inner_site.definition.type, value, inner_site, inner, calls)
                parts.append(Part(f"{name!r}: {made}", value, definition, inner_site.definition.type))
            else:
                # a resolver that does not say what it reads may read all: no record has a value of the field's name
                reads |= definition.metadata.get(_READS, {definition.python_name})
                call = self._call(name, inner_site, definition, inner)
                calls.append(call)
                parts.append(Part(f"{name!r}: None", call=f"run.call({self._code.constant(call)}, o, d)"))
        code = self._code
        function = code.name("f")
        code.objects[function] = parts
        meet = code.constant(self._stored.meeting(function, of))
        lines = [f"if o.__class__ not in vetted: return {meet}(o, run)", *code.check(of)]
        lines += [f"{part.value} = {code.read(part.definition)}" for part in parts if part.definition is not None]
        code.write(function, source(function, lines, parts))
        return function


def _takes_record_first(definition: StrawberryField) -> bool:
    resolver = definition.base_resolver
    if resolver is None or type(definition).get_result is not StrawberryField.get_result:
        return False
    parent = resolver.parent_parameter
    return parent is not None and parent.name == next(iter(resolver.signature.parameters))


def _is_typename(details: list[FieldDetails]) -> bool:
    return details[0].node.name.value == "__typename"
