"""What callers and files may choose, and how imports end."""

from enum import StrEnum


class TargetOrder(StrEnum):
    NEWEST_FIRST = "NEWEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


class DuplicateAction(StrEnum):
    REJECT = "REJECT"
    SKIP = "SKIP"
    UPDATE = "UPDATE"


class DedupeScope(StrEnum):
    NONE = "NONE"
    OUTDIAL = "OUTDIAL"
    CUSTOMER = "CUSTOMER"


class ImportState(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class ImportStopReason(StrEnum):
    FILE = "FILE"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_REJECTS = "TOO_MANY_REJECTS"
    INTERRUPTED = "INTERRUPTED"
    CONFLICT = "CONFLICT"
    INTERNAL = "INTERNAL"
    CANCELED = "CANCELED"
    PAUSED = "PAUSED"
    DELETED = "DELETED"


class RejectCode(StrEnum):
    INVALID = "INVALID"
    SCIENTIFIC_NOTATION = "SCIENTIFIC_NOTATION"
    MALFORMED = "MALFORMED"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    DUPLICATE_ADDRESS = "DUPLICATE_ADDRESS"


class CapSubject(StrEnum):
    ADDRESS = "ADDRESS"
    TARGET = "TARGET"


class CapScope(StrEnum):
    CUSTOMER = "CUSTOMER"
    OUTDIAL = "OUTDIAL"


class SuppressionSource(StrEnum):
    OWNER = "OWNER"
    CALLEE = "CALLEE"
    IMPORT = "IMPORT"
