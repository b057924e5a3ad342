"""What mutations answer: an outcome, which holds a result or the reasons why there is none."""

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from app import errors, records
from app.errors import Rejected
from app.graphql.schema.enums import UserErrorCode
from app.graphql.schema.fields import derived
from app.graphql.schema.types import Attempt, ImportJob, Outdial, OutdialTarget

T = TypeVar("T")
Batch = TypeVar("Batch", records.CreatedTargets, records.AttemptBatch)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    result: T
    user_errors: tuple[errors.UserError, ...] = ()


async def outcome(work: Awaitable[T], *, refused: T) -> Outcome[T]:
    """Await a use-case; where it refuses, answer `refused` and why."""
    try:
        return Outcome(await work)
    except Rejected as refusal:
        return Outcome(refused, refusal.errors)


async def batch_outcome(work: Awaitable[Batch], *, refused: Batch) -> Outcome[Batch]:
    """The same of a use-case that takes many rows and reports the bad ones in what it returns."""
    answer = await outcome(work, refused=refused)
    return Outcome(answer.result, answer.user_errors + answer.result.errors)


NOTHING_CREATED = records.CreatedTargets(targets=(), created=0, updated=0, skipped=0, rejected=0, errors=())
NOTHING_RESET = records.Reset(count=0, remaining=0)
NO_ATTEMPTS = records.AttemptBatch(attempts=(), errors=())


def graphql_path(path: Sequence[str]) -> list[str]:
    """A path in the names of the schema: max_try_counts is maxTryCounts, destination_0 is destination0."""
    return [re.sub(r"_+([a-z0-9])", lambda match: match[1].upper(), step) for step in path]


def _path(error: errors.UserError) -> list[str]:
    return graphql_path(error.path)


def _result(answer: Outcome[T]) -> T:
    return answer.result


@strawberry.type(description="What the caller can put right. Anything else is a top-level error with extensions.code.")
class UserError:
    code: UserErrorCode = strawberry.field(description="What kind of error it is, for programs.")
    message: str = strawberry.field(description="What is wrong, for people.")
    path: list[str] = derived(
        _path,
        "The input's path, from the input object down, list indexes as text: "
        '["results", "3", "disposition"]. Empty where it is about the whole.',
    )


def _user_errors() -> Any:
    return strawberry.field(description="What was refused, and why; empty where all went well.")


@strawberry.type(description="What became of an outdial.")
class OutdialPayload:
    outdial: Outdial | None = derived(_result, "The outdial as it is now; null where the mutation was refused.")
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="What became of a target.")
class TargetPayload:
    target: OutdialTarget | None = derived(_result, "The target as it is now; null where the mutation was refused.")
    user_errors: list[UserError] = _user_errors()


def _created_targets(answer: Outcome[records.CreatedTargets]) -> Sequence[records.Target | None]:
    return answer.result.targets


def _created_count(answer: Outcome[records.CreatedTargets]) -> int:
    return answer.result.created


def _updated_count(answer: Outcome[records.CreatedTargets]) -> int:
    return answer.result.updated


def _skipped_count(answer: Outcome[records.CreatedTargets]) -> int:
    return answer.result.skipped


def _rejected_count(answer: Outcome[records.CreatedTargets]) -> int:
    return answer.result.rejected


@strawberry.type(description="What became of the rows.")
class CreateTargetsPayload:
    targets: list[OutdialTarget | None] = derived(
        _created_targets, "In the input's order; null for a row that was rejected."
    )
    created_count: int = derived(_created_count, "Rows that made a new target.")
    updated_count: int = derived(_updated_count, "Rows that changed the target that had their key.")
    skipped_count: int = derived(_skipped_count, "Rows that left the target that had their key as it was.")
    rejected_count: int = derived(_rejected_count, "Rows that were refused; userErrors says why.")
    user_errors: list[UserError] = _user_errors()


def _reset_count(answer: Outcome[records.Reset]) -> int:
    return answer.result.count


def _reset_remaining(answer: Outcome[records.Reset]) -> int:
    return answer.result.remaining


@strawberry.type(description="How far a reset came.")
class ResetTargetsPayload:
    count: int = derived(_reset_count, "How many came back to idle, or would in a dry run.")
    remaining: int = derived(_reset_remaining, "How many more match.")
    user_errors: list[UserError] = _user_errors()


def _attempts(answer: Outcome[records.AttemptBatch]) -> Sequence[records.Attempt]:
    return answer.result.attempts


@strawberry.type(description="Attempts in the input's order, those with an error left out.")
class AttemptsPayload:
    attempts: list[Attempt] = derived(_attempts, "The attempts as they are now.")
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="What became of an import.")
class ImportPayload:
    import_job: ImportJob | None = derived(_result, "The import as it is now; null where the mutation was refused.")
    user_errors: list[UserError] = _user_errors()
