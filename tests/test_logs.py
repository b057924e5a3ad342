"""Logs: one format, and nothing in it that is nobody's business."""

import json
import logging
import re
import sys
import threading
import warnings

import jwt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app import logs
from app.settings import Settings

SECRET = "Zyxwvutsrqponmlkjihgfedcba987654321"
TOKEN = jwt.encode({"sub": "ann"}, SECRET, algorithm="HS256")
POSTGRES = "postgresql://ann:hunter2%21x@db.example.com:5432/calls"


@pytest.fixture(autouse=True)
def _as_it_was():
    root = logging.getLogger()
    level = root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    for handler in [handler for handler in root.handlers if isinstance(handler, logs._Handler)]:
        root.removeHandler(handler)
    root.setLevel(level)
    for name in logs._TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(params=["text", "json"])
def lines(request, capsys):
    logs.configure(Settings(jwt_secret=SECRET, database_url=POSTGRES, log_format=request.param, log_level="DEBUG"))

    def read():
        return capsys.readouterr().err.splitlines()

    read.format = request.param
    return read


SENSITIVE = [
    (f"cannot read {TOKEN}", TOKEN),
    (f"cut off: {TOKEN[:25]}", TOKEN[:25]),
    ("GET /graphql?token=abc123&x=1 HTTP/1.1", "abc123"),
    ('"WebSocket /graphql?access_token=abc123" [accepted]', "abc123"),
    ("GET /v1.0/outdials?filter=private HTTP/1.1", "private"),
    ("https://example.com/x?y=private#z", "private"),
    ("Authorization: Bearer abc123", "abc123"),
    ("authorization: Basic YW5uOnB3", "YW5uOnB3"),
    ("sent bearer abc123, twice", "abc123"),
    ("{'authorization': 'Bearer abc123'}", "abc123"),
    ("{'token': 'abc xyz'}", "xyz"),
    ('{\\"token\\": \\"abc\\\\\\"xyz\\"}', "xyz"),
    ('{"token": "abc\\"xyz"}', "xyz"),
    ('{\\"token\\": \\"abc123\\"}', "abc123"),
    ("Cookie: a=1; token=abc123; b=private", "private"),
    ("cookie='abc123'", "abc123"),
    ("OUTDIAL_JWT_SECRET=abc123", "abc123"),
    ("host=db user=ann password=abc123 dbname=calls", "abc123"),
    ("cannot connect to postgresql://ann:abc123@db/calls", "abc123"),
    ("cannot connect to postgres://ann:ab@c123@db/calls", "c123"),
    ("cannot connect to amqp://abc123@queue", "abc123"),
    (f"the key is {SECRET}", SECRET),
    ("login with hunter2%21x", "hunter2"),
    ("login with hunter2!x", "hunter2"),
    ("Key (key)=(+14155550100) already exists", "4155550100"),
    ("called +1 (415) 555-0100 twice", "555-0100"),
    ("called +44 20 7946 0958", "7946"),
    ("called %2B14155550100", "4155550100"),
    ("sip:+14155550100@gw.example.com", "4155550100"),
]


def fail(text):
    raise ValueError(text)


@pytest.mark.parametrize(("text", "sensitive"), SENSITIVE)
def test_what_is_sensitive_gets_out_by_no_way(lines, text, sensitive):
    log = structlog.get_logger("app.test")
    log.info(text)
    log.info("as a value", value=text)
    log.info("deep inside", value={"list": [text, {"key": text}]})
    logging.getLogger("uvicorn.error").error("by a library: %s", text)
    try:
        fail(text)
    except ValueError:
        log.exception("as an exception")
        logging.getLogger("asyncio").exception("as a library's exception")
    structlog.contextvars.bind_contextvars(bound=text)
    log.warning("as context")
    written = "\n".join(lines())
    assert written.count("as a") == 3
    assert "by a library" in written
    assert sensitive not in written
    assert logs.REDACTED in written


@pytest.mark.parametrize(
    "text",
    [
        "claimed 12 targets in 0.0123 s",
        "2026-11-23T18:51:00.123456+00:00",
        "outdial 0193f1a2-7b1c-7def-8123-456789abcdef is gone",
        "sip:ann@example.com",
        "http://127.0.0.1:8000/graphql",
        "1+2 is 3",
        "the token has expired",
        "attempts=1234567890",
        "what? nothing",
    ],
)
def test_what_is_not_sensitive_stays_readable(text):
    assert logs.redact(text) == text


@given(st.text(max_size=300))
def test_redaction_settles_and_takes_any_text(text):
    once = logs.redact(text)
    assert logs.redact(once) == logs.redact(logs.redact(once))


@pytest.mark.parametrize(
    "text", ["token" * 20_000, "a://" + "b@" * 50_000, "+" * 100_000, "/" * 100_000, "\\" * 100_000]
)
def test_redaction_of_a_long_line_is_quick(text):
    import time

    start = time.process_time()
    logs.redact(text)
    assert time.process_time() - start < 2


def test_json_lines_stay_json_after_redaction(capsys):
    logs.configure(Settings(log_format="json"))
    for text, _ in SENSITIVE:
        structlog.get_logger("app.test").info("x", value=text, nested={"token": text}, number=1)
    rows = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(rows) == len(SENSITIVE)
    assert {row["number"] for row in rows} == {1}
    assert {row["event"] for row in rows} == {"x"}


def test_every_line_says_when_how_grave_who_and_for_which_request(lines):
    reset = logs.request_id.set("req-1")
    try:
        structlog.get_logger("app.test").info("ours", n=1)
        logging.getLogger("library").warning("theirs %d", 2)
    finally:
        logs.request_id.reset(reset)
    structlog.get_logger("app.test").info("afterwards")
    ours, theirs, afterwards = lines()
    if lines.format == "json":
        row = json.loads(ours)
        assert row.pop("timestamp").endswith("Z")
        assert row == {"event": "ours", "n": 1, "level": "info", "logger": "app.test", "request_id": "req-1"}
        assert json.loads(theirs)["event"] == "theirs 2"
        assert json.loads(theirs)["level"] == "warning"
        assert json.loads(theirs)["request_id"] == "req-1"
        assert "request_id" not in json.loads(afterwards)
    else:
        assert "[info" in ours
        assert "[app.test]" in ours
        assert "request_id=req-1" in ours
        assert "theirs 2" in theirs
        assert "request_id=req-1" in theirs
        assert "request_id" not in afterwards


@pytest.mark.parametrize(
    "path", ["/graphql", "/", "/v1.0/outdials/018f3e4c-5b6a", "/hunter2!x", f"/{TOKEN}", "/+15550100000", "/lowsecret"]
)
@pytest.mark.parametrize("status", [200, "disconnected"])
def test_the_line_of_a_request_is_the_same_however_it_is_written(lines, path, status):
    url = "postgresql://ann:lowsecret@db.example.com/calls"
    logs.configure(Settings(jwt_secret=SECRET, database_url=url, log_format=lines.format))
    own_id = "018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f"
    reset = logs.request_id.set(own_id)
    try:
        logs.log_request("POST", path, status, 12.5, own_id=own_id)
        logs.log_request("POST", path, status, 12.5, own_id=None)
    finally:
        logs.request_id.reset(reset)
    direct, usual = [re.sub(r"20[0-9-]+T[0-9:.]+Z", "now", line) for line in lines()]
    assert direct == usual
    assert TOKEN not in direct
    assert "lowsecret" not in direct


def test_no_line_of_a_request_is_written_above_its_level(lines):
    logging.getLogger("outdial.access").setLevel(logging.WARNING)
    try:
        logs.log_request("POST", "/graphql", 200, 1.0, own_id="018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f")
    finally:
        logging.getLogger("outdial.access").setLevel(logging.NOTSET)
    assert lines() == []


def test_a_traceback_shows_no_local_variables(lines):
    def broken(local):
        return {"known": 1}[local[:1]]

    try:
        broken("x" + "horse")
    except KeyError:
        structlog.get_logger("app.test").exception("broken")
    written = "\n".join(lines())
    assert "Traceback" in written
    assert "KeyError" in written
    assert "xhorse" not in written


def test_the_level_holds_and_libraries_are_quiet(capsys):
    logs.configure(Settings(log_level="WARNING"))
    structlog.get_logger().info("unheard")
    structlog.get_logger().warning("heard")
    logs.configure(Settings(log_level="DEBUG"))
    structlog.get_logger().debug("heard too")
    for name in ("uvicorn.error", "uvicorn.access", "tortoise.db_client", "websockets.server", "httpx", "asyncio"):
        logging.getLogger(name).info("unheard")
    assert [line.partition("] ")[2].split()[:2] for line in capsys.readouterr().err.splitlines()] == [
        ["heard", "[tests.test_logs]"],
        ["heard", "too"],
    ]


def test_configuring_twice_writes_each_line_once(capsys):
    logs.configure(Settings())
    logs.configure(Settings())
    logging.getLogger("library").warning("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_python_warnings_are_log_lines(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ?token=abc123", stacklevel=1)
        logging.captureWarnings(capture=False)
    written = "\n".join(lines())
    assert "UserWarning" in written
    assert "abc123" not in written


def test_a_line_that_cannot_be_written_shows_none_of_its_values(lines):
    record = logging.LogRecord("library", logging.WARNING, "x.py", 1, "%d numbers", ("+14155550100",), None)
    (handler,) = (handler for handler in logging.getLogger().handlers if isinstance(handler, logs._Handler))
    handler.handle(record)  # by itself: pytest's own handler raises
    (line,) = lines()
    said = json.loads(line)["event"] if lines.format == "json" else line
    assert said == "a log line of library at x.py:1 could not be formatted"
    assert "4155550100" not in line


def test_text_that_no_encoding_takes_is_written_all_the_same(lines):
    structlog.get_logger().warning("half a character", text="\ud800", raw=b"\xff", thing=object())
    assert "half a character" in lines()[0]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://ann:hunt[er2@db/calls", "hunt[er2"),
        ("postgresql://ann:[hunter2]@db1,[::1]:5432/calls", "[hunter2]"),
        ("postgresql://ann:hunt%22er2@db/calls", 'hunt"er2'),
        ("postgresql://ann:größer12@db/calls", "größer12"),
        ("postgresql://ann:hunt%5Cer2@db/calls", "hunt\\er2"),
        ("postgresql://ann@db/calls?password=hunter22", "hunter22"),
        ("postgresql://ann@db/calls?sslmode=require&sslcert=a&sslpassword=hunter22", "hunter22"),
    ],
)
def test_no_password_that_a_url_can_hold_gets_into_the_log(capsys, form, url, password):
    logs.configure(Settings(jwt_secret=SECRET, database_url=url, log_format=form))
    structlog.get_logger("app.test").warning("cannot_log_in", with_it=f"as {password}.")
    line = capsys.readouterr().err
    assert "cannot_log_in" in line
    assert logs.REDACTED in line
    assert password not in (json.loads(line)["with_it"] if form == "json" else line)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/graphql", "/v1.0/docs", "/web/assets/index-BwX3d9_a.js", "/calls/v1.0/openapi.json"),
        "/v1.0/outdials/018f3e4c-5b6a-7000-8000-000000000001/targets/018f3e4c-1234-7567-8901-123456789012",
    ],
)
def test_a_logged_path_shows_names_and_ids(path):
    assert logs.shown_path(path) == path


@pytest.mark.parametrize(
    "value",
    [
        *(
            "tel:14155550144",
            "14155550144",
            "1-415-555-0144",
            "415.555.0144",
            "a14155550144",
            "a1b14155550144",
            "%2B1415",
        ),
        *(TOKEN, TOKEN.replace(".", "%2e"), TOKEN.replace("eyJ", "%65yJ"), TOKEN.split(".")[2], "x;token=abc", "a b"),
    ],
)
def test_a_logged_path_shows_nothing_else(value):
    assert logs.shown_path(f"/v1.0/outdials/{value}/targets") == f"/v1.0/outdials/{logs.REDACTED}/targets"


def test_a_number_behind_a_word_is_not_logged_and_an_id_is():
    kept = "018f3e4c-5b6a-7000-8000-123456789012 4f3e14155550144aa 1735689600.25 12345678"
    assert logs.redact(f"tel:14155550144 Call14155550146 {kept}") == f"tel:{logs.REDACTED} Call{logs.REDACTED} {kept}"
