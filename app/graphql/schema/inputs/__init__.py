"""The input types, and how they become the use-cases' values.

A field that is left out is UNSET, for which the schema prints no default. A given null is None.
"""

from app.graphql.schema.inputs.attempts import (
    AttemptResultInput,
    ClaimTargetsInput,
    CompleteAttemptsInput,
    ExtendAttemptsInput,
    ReleaseAttemptsInput,
    StartAttemptInput,
    StartAttemptsInput,
)
from app.graphql.schema.inputs.codes import (
    ResultCodeInput,
    SetResultCodesInput,
)
from app.graphql.schema.inputs.common import CallbackInput
from app.graphql.schema.inputs.outdials import (
    BreakerInput,
    CallCapInput,
    CallingExceptionInput,
    CallingHoursInput,
    CallingTimeInput,
    CallingWindowInput,
    CreateOutdialInput,
    DialPolicyInput,
    PacingInput,
    RetryRuleInput,
    UpdateOutdialInput,
)
from app.graphql.schema.inputs.suppressions import (
    AddSuppressionsInput,
    RemoveSuppressionsInput,
    SuppressedAddressInput,
    SuppressionInput,
)
from app.graphql.schema.inputs.targets import (
    CancelTargetsInput,
    CreateTargetInput,
    CreateTargetsInput,
    DestinationInput,
    ResetTargetsInput,
    ScheduleCallbackInput,
    TargetInput,
    UpdateTargetInput,
    UpdateTargetsInput,
)

__all__ = [
    "AddSuppressionsInput",
    "AttemptResultInput",
    "BreakerInput",
    "CallCapInput",
    "CallbackInput",
    "CallingExceptionInput",
    "CallingHoursInput",
    "CallingTimeInput",
    "CallingWindowInput",
    "CancelTargetsInput",
    "ClaimTargetsInput",
    "CompleteAttemptsInput",
    "CreateOutdialInput",
    "CreateTargetInput",
    "CreateTargetsInput",
    "DestinationInput",
    "DialPolicyInput",
    "ExtendAttemptsInput",
    "PacingInput",
    "ReleaseAttemptsInput",
    "RemoveSuppressionsInput",
    "ResetTargetsInput",
    "ResultCodeInput",
    "RetryRuleInput",
    "ScheduleCallbackInput",
    "SetResultCodesInput",
    "StartAttemptInput",
    "StartAttemptsInput",
    "SuppressedAddressInput",
    "SuppressionInput",
    "TargetInput",
    "UpdateOutdialInput",
    "UpdateTargetInput",
    "UpdateTargetsInput",
]
