"""Calls a list to its end, one call at a time: OUTDIAL_TOKEN=… python dialer.py http://127.0.0.1:8000 OUTDIAL_ID"""
import datetime, os, random, socket, sys, time, uuid, httpx
CLAIM = """mutation ($input: ClaimTargetsInput!) { claimTargets(input: $input) { throttledUntil
  attempts { id destination { type target } target { name } } } }"""
START = "mutation ($input: StartAttemptsInput!) { startAttempts(input: $input) { attempts { id } } }"
COMPLETE = "mutation ($input: CompleteAttemptsInput!) { completeAttempts(input: $input) { userErrors { message } } }"
LEFT = "query ($id: ID!) { outdial(id: $id) { progress { idle progressing } } }"
http = httpx.Client(base_url=sys.argv[1], headers={"Authorization": f"Bearer {os.environ['OUTDIAL_TOKEN']}"})

def send(query, **variables):
    while True:
        try:
            answer = http.post("/graphql", json={"query": query, "variables": variables}).json()
            if "errors" not in answer: return next(iter(answer["data"].values()))
            if answer["errors"][0]["extensions"]["code"] not in {"RATE_LIMITED", "UNAVAILABLE"}: sys.exit(str(answer))
        except (httpx.TransportError, ValueError): pass
        time.sleep(1)  # everything here may be sent again, so a lost answer costs nothing

def call(attempt):  # put a telephone here; if calls may outlast the lease of 120 s, call extendAttempts meanwhile
    print("calling", attempt["target"]["name"], attempt["destination"]["target"], flush=True)
    return {"disposition": random.choice(["ANSWERED", "BUSY", "NO_ANSWER"])}  # and perhaps "code": "SALE"

while any(send(LEFT, id=sys.argv[2])["progress"].values()):
    wish = {"outdialId": sys.argv[2], "dialer": socket.gethostname(), "idempotencyKey": str(uuid.uuid4())}
    for attempt in (claim := send(CLAIM, input=wish))["attempts"]:
        if send(START, input={"attempts": [{"attemptId": attempt["id"]}]})["attempts"]:  # else its lease was lost
            send(COMPLETE, input={"results": [{"attemptId": attempt["id"], **call(attempt)}]})
    if not claim["attempts"]:  # nobody is due, or the list's pace lets nobody claim before a time
        until = claim["throttledUntil"] and datetime.datetime.fromisoformat(claim["throttledUntil"]).timestamp()
        time.sleep(min(max(until - time.time(), 0.1), 5) * random.uniform(1, 1.2) if until else 1)
