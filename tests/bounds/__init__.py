"""What a stranger may send, and how much: each limit just below and just above, over real connections."""

import json

HEADER_BYTES = 2_048
INIT_BYTES = 1_500
MESSAGE_BYTES = 9_000
DEPTH = 10
VALUES = 1_000
OPEN = 12
SMALL = {
    "OUTDIAL_HEADER_BYTES_MAX": str(HEADER_BYTES),
    "OUTDIAL_HEADER_SECONDS_MAX": "1",
    "OUTDIAL_SOCKET_INIT_BYTES_MAX": str(INIT_BYTES),
    "OUTDIAL_SOCKET_MESSAGE_BYTES_MAX": str(MESSAGE_BYTES),
    "OUTDIAL_JSON_DEPTH_MAX": str(DEPTH),
    "OUTDIAL_JSON_VALUES_MAX": str(VALUES),
}


def code(body: bytes) -> str:
    found: str = json.loads(body)["errors"][0]["extensions"]["code"]
    return found
