"""The reference dialer: it claims the targets of one outdial, calls them and reports how the calls ended.

Start here for your own dialer: copy this file, which only needs httpx, and replace `call`. The token needs the
scopes read and dial. Ctrl-C stops it after the calls in progress, a second Ctrl-C at once. `outdial dial` runs it.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

LEASE_SECONDS = 30
CALL_SECONDS_MAX = 3600
GRACE_SECONDS = 60
RETRY_SECONDS_MAX = 5.0
POLL_SECONDS = 1.0
REST_SECONDS_MAX = 5.0
GATHER_SECONDS = 0.1

CLAIM = """mutation Claim($input: ClaimTargetsInput!) { claimTargets(input: $input) { throttledUntil
  attempts { id state dialer destination { type target } target { name } } userErrors { code message } } }"""
START = "mutation Start($input: StartAttemptsInput!) { startAttempts(input: $input) { attempts { id } } }"
EXTEND = "mutation Extend($input: ExtendAttemptsInput!) { extendAttempts(input: $input) { userErrors { code } } }"
RELEASE = "mutation Release($input: ReleaseAttemptsInput!) { releaseAttempts(input: $input) { userErrors { code } } }"
COMPLETE = """mutation Complete($input: CompleteAttemptsInput!) {
  completeAttempts(input: $input) { userErrors { message path } } }"""
OPEN = """query Open($id: ID!, $dialer: String!) { outdial(id: $id) { attempts(first: 100, where: { dialer: $dialer,
  states: [CLAIMED, DIALING] }) { nodes { id state dialer destination { type target } target { name } } } } }"""
CODES = "{ resultCodes { code disposition isRetired } }"
WHY = """query Why($id: ID!) { outdial(id: $id) { nextClaimAt blockedBy { detail }
  targets(first: 1, where: { statuses: [IDLE] }) { nodes { blockedBy { detail } } } } }"""

Attempt = dict[str, Any]  # as in the answers of these queries, and with `codes`: the owner's, by disposition
Result = dict[str, Any]  # the disposition, and more of AttemptResultInput that is known: code, talkSeconds, callback …
log = logging.getLogger("outdial.dialer")


async def call(attempt: Attempt) -> Result | None:
    """REPLACE THIS: place one call, wait until it ends and return the result; None if it is unknown.

    After a restart it is also called for calls that were placed before, with the state DIALING: do not place them
    again, but ask the telephone for the call with the attempt's id. After None the outdial's `onUnconfirmed` decides.
    """
    odds = {"ANSWERED": 41, "NO_ANSWER": 25, "MACHINE": 15, "BUSY": 15, "INVALID_DESTINATION": 3, "DO_NOT_CALL": 1}
    odds["CALLBACK"] = 3
    dice = random.Random(attempt["id"])  # noqa: S311 - this telephone is simulated; it knows each call by its id
    result: Result = {"disposition": dice.choices(list(odds), list(odds.values()))[0]}
    seconds = dice.uniform(1, 3) + (3 if result["disposition"] in {"ANSWERED", "MACHINE"} else 0)
    if attempt["state"] != "DIALING":
        await asyncio.sleep(seconds)
    if result["disposition"] == "CALLBACK":  # the person wants to be called later, by the same dialer
        at = datetime.now(UTC) + timedelta(seconds=dice.uniform(10, 30))
        result["callback"] = {"at": at.isoformat(), "dialer": attempt["dialer"], "note": "has no time just now"}
    if codes := attempt["codes"].get(result["disposition"]):
        result["code"] = dice.choice(codes)  # a person would choose after the call
    return result


class CannotDial(Exception):  # noqa: N818 - not an error of this file
    """An error that a repeated request does not solve, such as a wrong token or an unknown outdial."""


@dataclass
class Dialer:
    http: httpx.AsyncClient
    outdial_id: str
    name: str  # unique: after a restart, it finds its open attempts by this name
    lines: int = 10  # calls at the same time, up to 100: one page has all open attempts after a restart
    telephone: Callable[[Attempt], Awaitable[Result | None]] = call
    held: dict[str, Result | None] = field(default_factory=dict)  # by attempt id: how calls ended, None until then
    codes: dict[str, list[str]] = field(default_factory=dict)  # the owner's result codes, by disposition
    throttled_until: str | None = None  # the pace of the list lets nobody claim before
    said: str = ""  # why there is nothing to call

    async def run(self, stopping: asyncio.Event) -> None:
        """Dial until `stopping` is set and the calls in progress have ended. If cancelled, it leaves these open."""
        async with asyncio.TaskGroup() as tasks:
            aides = [tasks.create_task(self.renew()), tasks.create_task(self.report())]
            await self.read_codes()
            await self.recover(tasks)
            await self.dial(stopping, tasks)
            while self.held:  # noqa: ASYNC110 - 0.1 seconds late is soon enough
                await asyncio.sleep(GATHER_SECONDS)
            for aide in aides:
                aide.cancel()

    async def recover(self, tasks: asyncio.TaskGroup) -> None:
        """Continue what an earlier run left: release what it did not dial, ask the telephone about the rest."""
        outdial = await self.send(OPEN, id=self.outdial_id, dialer=self.name)
        if outdial is None:
            raise CannotDial(f"Outdial {self.outdial_id} not found. Check --outdial and the token's customer.")
        await self.release([attempt for attempt in outdial["attempts"]["nodes"] if attempt["state"] == "CLAIMED"])
        self.follow([attempt for attempt in outdial["attempts"]["nodes"] if attempt["state"] == "DIALING"], tasks)

    async def dial(self, stopping: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        """Claim targets for all free lines and call them, in a loop."""
        while not stopping.is_set():
            free = min(self.lines, 100) - len(self.held)
            claimed = await self.claim(free) if free > 0 else []
            if stopping.is_set():
                await self.release(claimed)
            elif claimed:
                await self.start(claimed, tasks)
            if self.throttled_until and free > 0:
                wait = self.until(self.throttled_until) * random.uniform(1, 1.2)  # noqa: S311 - not all at once
                if wait > 2 * POLL_SECONDS and not self.held:
                    await self.rest()  # says why
            else:
                wait = GATHER_SECONDS if claimed or free <= 0 else POLL_SECONDS if self.held else await self.rest()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait)

    async def rest(self) -> float:
        """Seconds to wait until something can be claimed, bounded: others may add targets. Says why nothing can be."""
        if (outdial := await self.send(WHY, id=self.outdial_id)) is None:
            return POLL_SECONDS  # it was deleted: the next claim says so
        next_at, waiting = outdial["nextClaimAt"], outdial["targets"]["nodes"]
        seconds = self.until(next_at) if next_at else REST_SECONDS_MAX
        if seconds > GATHER_SECONDS:  # not now
            blocks = [block["detail"] for one in [outdial, *waiting] for block in one["blockedBy"]]
            why = " ".join(blocks) if waiting else "No target waits."
            if why != self.said:
                log.warning("nothing to call%s: %s", f" until {next_at}" if next_at else "", why)
            self.said = why
        return max(seconds, POLL_SECONDS)

    @staticmethod
    def until(instant: str) -> float:
        """Seconds from now until then, bounded: much can change meanwhile."""
        seconds = (datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds()
        return min(max(seconds, GATHER_SECONDS), REST_SECONDS_MAX)

    async def claim(self, limit: int) -> list[Attempt]:
        """Lease due targets, callbacks for this dialer's name too. A repeated request gets the same, by its key."""
        wish = {"outdialId": self.outdial_id, "limit": limit, "dialer": self.name, "leaseSeconds": LEASE_SECONDS}
        payload = await self.send(CLAIM, input=wish | {"idempotencyKey": str(uuid.uuid4())})
        for error in payload["userErrors"]:
            if error["code"] != "PAUSED":  # which passes
                raise CannotDial(error["message"])
        self.throttled_until = payload["throttledUntil"]
        return [attempt for attempt in payload["attempts"] if attempt["state"] == "CLAIMED"]

    async def start(self, claimed: list[Attempt], tasks: asyncio.TaskGroup) -> None:
        """Report the calls before they are placed: if the dialer dies in between, nobody is called twice."""
        starts = [{"attemptId": attempt["id"], "callId": attempt["id"]} for attempt in claimed]
        started = {attempt["id"] for attempt in (await self.send(START, input={"attempts": starts}))["attempts"]}
        self.follow([attempt for attempt in claimed if attempt["id"] in started], tasks)  # the others' leases are lost

    async def release(self, attempts: list[Attempt]) -> None:
        if attempts:
            await self.send(RELEASE, input={"attemptIds": [attempt["id"] for attempt in attempts]})

    def follow(self, attempts: list[Attempt], tasks: asyncio.TaskGroup) -> None:
        for attempt in attempts:
            self.held[attempt["id"]] = None
            tasks.create_task(self.see_through(attempt))

    async def see_through(self, attempt: Attempt) -> None:
        ended = None
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                ended = await self.telephone(attempt | {"codes": self.codes})
        except Exception:  # an error of one call does not end others; its result is unknown
            log.exception("call %s failed", attempt["id"])
        if ended:
            self.held[attempt["id"]] = ended
        else:
            del self.held[attempt["id"]]  # its lease expires

    async def report(self) -> None:
        """Report calls that ended close together in one request. DO_NOT_CALL counts even if the lease was lost."""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            if batch := {id_: result for id_, result in self.held.items() if result}:
                results = [{"attemptId": id_, **result} for id_, result in batch.items()]
                for error in (await self.send(COMPLETE, input={"results": results}))["userErrors"]:
                    id_, place = results[int(error["path"][1])]["attemptId"], error["path"][2]
                    log.warning("call %s: %s", id_, error["message"])
                    if place == "code" and batch.pop(id_).pop("code"):  # retired meanwhile: sent again without it
                        await self.read_codes()
                for id_ in batch:
                    del self.held[id_]

    async def read_codes(self) -> None:
        self.codes = {}
        for code in await self.send(CODES):
            if not code["isRetired"]:
                self.codes.setdefault(code["disposition"], []).append(code["code"])

    async def renew(self) -> None:
        """Extend the leases while calls last. If one is lost, its call continues: the result may still count."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            if self.held:
                await self.send(EXTEND, input={"attemptIds": list(self.held)})

    async def send(self, query: str, **variables: Any) -> Any:
        """The value of the query's one field. Every request here can be repeated, and is, until it succeeds."""
        wait = 0.1
        while True:
            try:
                answer = (await self.http.post("/graphql", json={"query": query, "variables": variables})).json()
                if "errors" not in answer:
                    return next(iter(answer["data"].values()))
                problem = answer["errors"][0]
                if problem["extensions"]["code"] not in {"UNAVAILABLE", "RATE_LIMITED", "INTERNAL"}:  # which pass
                    raise CannotDial(problem["message"])
            except (httpx.RequestError, ValueError, LookupError) as error:  # no answer, or not from this server
                problem = repr(error)
            log.warning("asking again: %s", problem)
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311
            wait = min(2 * wait, RETRY_SECONDS_MAX)


async def main(http: httpx.AsyncClient, outdial_id: str, name: str, lines: int) -> None:
    """Dial until Ctrl-C or SIGTERM."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    async with http:
        running = asyncio.create_task(Dialer(http, outdial_id, name, lines).run(stopping))

        def stop() -> None:
            loop.call_later(0 if stopping.is_set() else GRACE_SECONDS, running.cancel)
            stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        with suppress(asyncio.CancelledError):  # the next run with this name continues what was left open
            await running


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Call the targets of one outdial.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--outdial", required=True, metavar="ID")
    parser.add_argument("--name", default="dialer-1", help="a unique name")
    parser.add_argument("--lines", type=int, default=10, help="calls at the same time")
    options = parser.parse_args()
    bearer = {"Authorization": f"Bearer {os.environ.get('OUTDIAL_TOKEN', '').strip()}"}
    client = httpx.AsyncClient(base_url=options.url, headers=bearer, timeout=10)
    try:
        asyncio.run(main(client, options.outdial, options.name, options.lines))
    except* CannotDial as problem:
        raise SystemExit(f"dialer: {problem.exceptions[0]}") from None
