"""The answers of mutations: each has a result, or the reasons why there is none."""

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import strawberry

from app import errors, records
from app.errors import Rejected
from app.graphql.schema.codes import ResultCode
from app.graphql.schema.enums import UserErrorCode
from app.graphql.schema.fields import derived
from app.graphql.schema.types import Attempt, ImportJob, Outdial, OutdialTarget, Suppression

T = TypeVar("T")
Batch = TypeVar("Batch", records.CreatedTargets, records.AttemptBatch, records.SuppressionBatch)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    result: T
    user_errors: tuple[errors.UserError, ...] = ()


async def outcome(work: Awaitable[T], *, refused: T) -> Outcome[T]:
    """Await a use-case. If it refuses, answer with `refused` and the reasons."""
    try:
        return Outcome(await work)
    except Rejected as refusal:
        errors.forget_trace(refusal)
        return Outcome(refused, refusal.errors)


async def batch_outcome(work: Awaitable[Batch], *, refused: Batch) -> Outcome[Batch]:
    """Like the one above, for a use-case that takes many rows and returns the bad ones in its result."""
    answer = await outcome(work, refused=refused)
    return Outcome(answer.result, answer.user_errors + answer.result.errors)


NOTHING_CREATED = records.CreatedTargets(targets=(), created=0, updated=0, skipped=0, rejected=0, errors=())
NONE_CHANGED = records.ChangedTargets(count=0, remaining=0)
NO_ATTEMPTS = records.AttemptBatch(attempts=(), errors=())
NO_SUPPRESSIONS = records.SuppressionBatch(suppressions=(), errors=())


def graphql_path(path: Sequence[str]) -> list[str]:
    """A path in the names of the schema: max_try_counts is maxTryCounts, destination_0 is destination0."""
    return [re.sub(r"_+([a-z0-9])", lambda match: match[1].upper(), step) for step in path]


def _path(error: errors.UserError) -> list[str]:
    return graphql_path(error.path)


def _result(answer: Outcome[T]) -> T:
    return answer.result


@strawberry.type(
    description="An error that the caller can correct. All other errors are top-level errors with extensions.code."
)
class UserError:
    code: UserErrorCode = strawberry.field(description="The kind of error, for programs.")
    message: str = strawberry.field(description="What is wrong and what to do, for people.")
    path: list[str] = derived(
        _path,
        "The path of the wrong value, from the input object down, with list indexes as text: "
        '["results", "3", "disposition"]. Empty if the error concerns the whole input.',
    )


def _user_errors() -> Any:
    return strawberry.field(description="What was rejected, and why. Empty if everything was accepted.")


@strawberry.type(description="The result of a change to an outdial.")
class OutdialPayload:
    outdial: Outdial | None = derived(_result, "The outdial after the change. Null if the change was rejected.")
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="The result of a change to a target.")
class TargetPayload:
    target: OutdialTarget | None = derived(_result, "The target after the change. Null if the change was rejected.")
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


@strawberry.type(description="The result of each row.")
class CreateTargetsPayload:
    targets: list[OutdialTarget | None] = derived(
        _created_targets, "The targets in the order of the input. Null for a row that was rejected."
    )
    created_count: int = derived(_created_count, "Rows that created a target.")
    updated_count: int = derived(_updated_count, "Rows that changed an existing target with the same key.")
    skipped_count: int = derived(_skipped_count, "Rows that left an existing target unchanged.")
    rejected_count: int = derived(_rejected_count, "Rows that were rejected. userErrors gives the reasons.")
    user_errors: list[UserError] = _user_errors()


def _count_of_many(answer: Outcome[records.ChangedTargets]) -> int:
    return answer.result.count


def _remaining_of_many(answer: Outcome[records.ChangedTargets]) -> int:
    return answer.result.remaining


_REMAINING = (
    "The number of further targets that match. Call again if it is above 0. If counting them takes over 5 seconds, it "
    "is 1 if there may be any."
)


@strawberry.type(description="The result of a reset.")
class ResetTargetsPayload:
    count: int = derived(_count_of_many, "The number of targets that returned to IDLE, or would in a dry run.")
    remaining: int = derived(_remaining_of_many, _REMAINING)
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="The result of a change to many targets.")
class TargetsPayload:
    count: int = derived(_count_of_many, "The number of targets that were changed, or would be in a dry run.")
    remaining: int = derived(_remaining_of_many, _REMAINING)
    user_errors: list[UserError] = _user_errors()


def _attempts(answer: Outcome[records.AttemptBatch]) -> Sequence[records.Attempt]:
    return answer.result.attempts


def _throttled_until(answer: Outcome[records.AttemptBatch]) -> datetime | None:
    return answer.result.throttled_until


@strawberry.type(description="The attempts in the order of the input. Attempts with an error are left out.")
class AttemptsPayload:
    attempts: list[Attempt] = derived(_attempts, "The attempts as they are now.")
    throttled_until: datetime | None = derived(
        _throttled_until,
        "Of claims: when to ask again, if the pace of the outdial allowed fewer targets than were asked for. With "
        "claimsPerSecond the instant at which the next one may be claimed; with maxOpenAttempts a second later, or "
        "sooner if an attempt ends. Null: the pace held nothing back.",
    )
    user_errors: list[UserError] = _user_errors()


def _suppressions(answer: Outcome[records.SuppressionBatch]) -> Sequence[records.Suppression]:
    return answer.result.suppressions


@strawberry.type(description="The suppressions in the order of the input. Those with an error are left out.")
class SuppressionsPayload:
    suppressions: list[Suppression] = derived(
        _suppressions, "The suppressions as they are now, or as they were before they were removed."
    )
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="The result of a change to the result codes.")
class ResultCodesPayload:
    result_codes: list[ResultCode] | None = derived(
        _result, "The codes of the input after the change, in its order. Null if the change was rejected."
    )
    user_errors: list[UserError] = _user_errors()


@strawberry.type(description="The result of a change to an import.")
class ImportPayload:
    import_job: ImportJob | None = derived(_result, "The import after the change. Null if the change was rejected.")
    user_errors: list[UserError] = _user_errors()
