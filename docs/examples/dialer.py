"""Calls a list to its end, one call at a time: OUTDIAL_TOKEN=… python dialer.py http://127.0.0.1:8000 OUTDIAL_ID"""
import os, random, sys, time, uuid, httpx

CLAIM = """mutation ($input: ClaimTargetsInput!) { claimTargets(input: $input) {
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
    return random.choice(["ANSWERED", "BUSY", "NO_ANSWER"])

while any(send(LEFT, id=sys.argv[2])["progress"].values()):
    for attempt in send(CLAIM, input={"outdialId": sys.argv[2], "idempotencyKey": str(uuid.uuid4())})["attempts"]:
        if send(START, input={"attempts": [{"attemptId": attempt["id"]}]})["attempts"]:  # else its lease was lost
            send(COMPLETE, input={"results": [{"attemptId": attempt["id"], "disposition": call(attempt)}]})
            break
    else:
        time.sleep(1)  # nobody is due
