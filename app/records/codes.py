"""The owner's own results of calls: codes, each a finer word for a disposition."""

from dataclasses import dataclass

from app.lifecycle import Disposition


@dataclass(frozen=True, slots=True)
class ResultCode:
    """A code that a customer has or had."""

    code: str
    """Unique among the customer's. Compared as it is."""
    label: str
    disposition: Disposition
    is_right_party: bool
    """Whether the person was reached who was wanted."""
    is_conversion: bool
    """Whether the call had the success that its owner counts."""
    is_retired: bool
    """It is refused in new results. Attempts that have it keep it."""


@dataclass(frozen=True, slots=True)
class ResultCodeDraft:
    code: str
    label: str
    disposition: Disposition
    is_right_party: bool = False
    is_conversion: bool = False
    is_retired: bool = False


def code_refusal(found: ResultCode | None, disposition: Disposition) -> str | None:
    """Why a code cannot be reported with a disposition, for people; None if it can.

    Args:
        found: the customer's code with that text; None if there is none.
        disposition: the one that is reported.
    """
    if found is None:
        return "Unknown result code. Use one of resultCodes."
    if found.is_retired:
        return "This result code is retired. Use another one of resultCodes."
    if found.disposition is not disposition:
        return f"This result code belongs to the disposition {found.disposition}."
    return None
