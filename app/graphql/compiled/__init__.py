"""Operations as plain functions: what graphql-core would answer, for a fraction of its work.

An operation that has passed validation is compiled when it runs for the second time: for each object type that it
selects, one Python function builds the answer from the record. The schema stays the only definition of every field.

Only success is compiled. On anything else (an error, null for a field that is not null, a value of an unexpected
class) graphql-core executes the operation, with the results of the resolvers that were already called: nothing is read
or written twice, and errors, their order and their paths are graphql-core's own.

`inputs` coerces variables and arguments, `writing` makes the functions, `running` runs them, `operations` remembers
them.
"""

from app.graphql.compiled.operations import Compiler, Way
from app.graphql.compiled.requests import CompiledOperation, Request

__all__ = ["CompiledOperation", "Compiler", "Request", "Way"]
