"""Documents that are made to be costly: none takes long to read, whatever its kind, and each refusal says the truth."""

import time
from collections.abc import Callable

import pytest

from app.graphql.compiled import Compiler
from app.graphql.schema import schema
from app.graphql.transport import documents, forms
from app.graphql.transport.documents import Documents
from app.graphql.transport.masking import NotExecuted, Rendered

SECONDS_MAX = 1.0
"""Of processor time, on a busy machine: each takes 0.2 at most. graphql-core's own rules took two to
four for some, and reading others had no end."""


def _many(what: str, to: int, *, start: int = 0) -> str:
    """The text so often, with its number in place of a dollar sign."""
    return " ".join(what.replace("$", str(number)) for number in range(start, to))


def _fragments(spread: int, on: str, selected: str) -> str:
    """A fragment F that spreads as many others."""
    return f"fragment F on Query{{viewer{{{_many('...F$', spread)}}}}}" + _many(
        f"fragment F$ on {on}{{{selected}}}", spread
    )


_IN_CREATE = "mutation{createOutdial(input:{%s}){outdial{id}}}"
_IN_TARGETS = 'mutation{createTargets(input:{outdialId:"x",targets:[%s]}){createdCount}}'
_VIEWER = "{viewer{customerId}}"

COSTLY = {
    "unknown members": _IN_CREATE % _many("a$:1", 1_600),
    "unknown members with long names": _IN_CREATE % _many("retryIntervalSec$onds$xxxxxxxxxxxxxxxxx:1", 1_600),
    "unknown members that look like others": _IN_TARGETS % ("{" + _many("destination$:1", 1_600, start=5) + "}"),
    "members that are given twice": _IN_CREATE % _many('name:"x"', 1_600),
    "many small objects": _IN_TARGETS % _many("{" + _many("destination:1", 8) + "}", 150),
    "values that are no objects": _IN_TARGETS % _many("1", 4_900),
    "objects without what they need": _IN_TARGETS % ("{}" * 2_400),
    "objects in objects": _IN_CREATE % ("a:{" * 150 + _many("b$:1", 1_300) + "}" * 150),
    "unknown values of an enum": "{outdials(where:{states:[" + _many("ACTIV$", 4_900) + "]}){nodes{id}}}",
    "one long unknown value": "{outdials(where:{states:[" + "A" * 90_000 + "]}){nodes{id}}}",
    "values of the wrong type": "{nodes(ids:[" + _many("1.$", 4_900) + "]){id}}",
    "a long number": "{outdials(first:" + "9" * 90_000 + "){nodes{id}}}",
    "a long number with an exponent": "{outdials(first:1e" + "9" * 90_000 + "){nodes{id}}}",
    "a long text": '{outdial(id:"""' + "\n " * 45_000 + '"""){id}}',
    "a text of escapes": '{outdial(id:"' + "\\u0041" * 16_000 + '"){id}}',
    "unknown arguments": "{outdials(" + _many("firs$:1", 1_600) + "){nodes{id}}}",
    "a long unknown argument": "{outdials(" + "a" * 90_000 + ":1){nodes{id}}}",
    "unknown fields": "{viewer{" + _many("customerI$", 4_900) + "}}",
    "a long unknown field": "{" + "a" * 99_000 + "}",
    "unknown directives": "{viewer{customerId " + _many("@ski$p", 2_400) + "}}",
    "directives that are given twice": "{viewer{customerId " + _many("@skip(if:true)", 700) + "}}",
    "unknown types": _VIEWER + _many("fragment F$ on Outdal$x{id}", 99),
    "variables that are not used": "query(" + " ".join(f"$v{number}:Int" for number in range(1_200)) + ")" + _VIEWER,
    "variables that are not there": "{nodes(ids:[" + " ".join(f"$v{number}" for number in range(2_400)) + "]){id}}",
    "variables of unknown types": "query("
    + " ".join(f"$v{number}:Outdia{number}" for number in range(1_200))
    + ")"
    + _VIEWER,
    "variables where they do not fit": "query($v:Boolean){nodes(ids:[" + "$v " * 2_400 + "]){id}}",
    "default values of the wrong type": "query("
    + " ".join(f"$v{number}:[OutdialState!]=[A B C]" for number in range(370))
    + ")"
    + _VIEWER,
    "operations that share fragments": _many("query A${...F}", 100) + _fragments(98, "Viewer", "customerId"),
    "operations with variables that share fragments": " ".join(f"query A{n}($a:ID!){{...F}}" for n in range(100))
    + "fragment F on Query{"
    + _many("...F$", 48)
    + "}"
    + _many("fragment F$ on Query{outdial(id:$a){id}}".replace("$a", "%"), 48).replace("%", "$a"),
    "operations with one name": _many("query A{viewer{customerId}}", 100),
    "more operations than there may be": _many("query A${viewer{customerId}}", 700),
    "fields in pairs": "{viewer{" + _many("...{customerId}", 139) + "}}",
    "fields that do not go together": "{viewer{" + _many("...{a:customerId}...{a:__typename}", 49) + "}}",
    "fragments in pairs": "{viewer{" + _many("...F$", 99) + "}}" + _many("fragment F$ on Viewer{customerId}", 99),
    "introspection": "{" + _many('a$:__type(name:"Outdial"){fields{args{type{name}}}}', 49) + "}",
    **{
        f"fragments that spread nothing twice, in a {kind}": f"{kind}{{...F0}}"
        + " ".join(f"fragment F{n} on {root}{{...F{n + 1} ...F{n + 1}}}" for n in range(40))
        + f"fragment F40 on {root}{{}}"
        for kind, root in (("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription"))
    },
    "fragments that spread nothing twice, inside of a field": "{outdials{...F0}}"
    + " ".join(f"fragment F{n} on OutdialConnection{{...F{n + 1} ...F{n + 1}}}" for n in range(40))
    + "fragment F40 on OutdialConnection{}",
    "comments": _VIEWER + "#\n" * 40_000,
}


@pytest.fixture(scope="module")
def read() -> Callable[[str], list[Rendered]]:
    """Reads a document, and gives why it is refused."""
    kept = Documents(schema, Compiler(schema, is_on=True))

    def errors(query: str) -> list[Rendered]:
        try:
            kept.of(query)
        except NotExecuted as refused:
            return refused.errors
        return []

    errors(_VIEWER)
    return errors


@pytest.mark.parametrize("kind", COSTLY)
def test_no_document_takes_long_to_read(read: Callable[[str], list[Rendered]], kind: str) -> None:
    query = COSTLY[kind]
    assert len(query) <= forms.QUERY_CHARACTERS_MAX
    before = time.thread_time()
    errors = read(query)
    assert time.thread_time() - before < SECONDS_MAX
    assert len(errors) <= documents.ERRORS_MAX + 1
    assert sum(len(error["message"]) for error in errors) <= 20_000


def test_a_short_value_has_all_its_errors_and_a_long_one_its_first(read: Callable[[str], list[Rendered]]) -> None:
    short, long = read(_IN_CREATE % _many("a$:1", 3)), read(_IN_CREATE % _many("a$:1", 300))
    assert ["a0" in short[0]["message"], "a1" in short[1]["message"], "a2" in short[2]["message"]] == [True] * 3
    assert len([error for error in short if "unknown field" in error["message"]]) == 3
    assert len([error for error in long if "unknown field" in error["message"]]) == 1


def test_validation_stops_after_ten_errors(read: Callable[[str], list[Rendered]]) -> None:
    assert len(read("{" + _many("a$", documents.ERRORS_MAX) + "}")) == documents.ERRORS_MAX
    errors = read("{" + _many("a$", documents.ERRORS_MAX + 1) + "}")
    assert len(errors) == documents.ERRORS_MAX + 1
    assert errors[-1]["message"].startswith("Too many validation errors")


def test_a_document_has_a_hundred_operations_at_the_most(read: Callable[[str], list[Rendered]]) -> None:
    assert read(_many("query A${viewer{customerId}}", forms.OPERATIONS_MAX)) == []
    (error,) = read(_many("query A${viewer{customerId}}", forms.OPERATIONS_MAX + 1))
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "operations" in error["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{nodes(ids:" + "[" * 400 + "]" * 400 + "){id}}",
        "{outdials(where:" + "{a:" * 400 + "1" + "}" * 400 + "){nodes{id}}}",
        "query($a:" + "[" * 400 + "Int" + "]" * 400 + ")" + _VIEWER,
        "{a" * 400 + "}" * 400,
    ],
    ids=["lists", "objects", "types", "selections"],
)
def test_what_is_nested_too_deep_is_refused_as_such(read: Callable[[str], list[Rendered]], query: str) -> None:
    (error,) = read(query)
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "nested" in error["message"]
    assert "200" in error["message"]
    assert "tokens" not in error["message"]
