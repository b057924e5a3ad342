"""The demo's lists: people who do not exist, with numbers that are reserved for fiction and documentation.

Those are +1 NPA 555-0100 to 0199, +44 7700 900000 to 900999, some of +61 491 570, and example.com (RFC 2606).
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

JsonObject = dict[str, Any]

_FIRST_NAMES = (
    "Aisha", "Ana", "Benjamin", "Camille", "Carlos", "Chidi", "Daniel", "Elena", "Emeka", "Fatima", "Felix", "Grace",
    "Hana", "Ingrid", "Isaac", "Jamal", "Ji-woo", "Karim", "Leila", "Lucía", "Mateo", "Mei", "Nadia", "Noah", "Olga",
    "Oscar", "Priya", "Rafael", "Rosa", "Samuel", "Sofia", "Tariq", "Tomás", "Uma", "Viktor", "Wanjiru", "Yuki", "Zoë",
)  # fmt: skip
_LAST_NAMES = (
    "Abara", "Andersson", "Baker", "Bianchi", "Castillo", "Chen", "Delgado", "Dubois", "Eriksen", "Fischer", "García",
    "Haddad", "Hughes", "Ito", "Jensen", "Kim", "Kowalski", "Lindqvist", "Mbeki", "Moreau", "Murphy", "Nakamura",
    "Novak", "O'Connor", "Okafor", "Patel", "Pereira", "Rossi", "Sato", "Silva", "Singh", "Taylor", "Varga", "Walker",
)  # fmt: skip
_AREA_CODES = ("206", "212", "303", "312", "404", "415", "503", "512", "617", "702")
_AUSTRALIAN_ENDINGS = ("006", "110", "156", "157", "158", "159", "313", "737")
_TREATMENTS = ("Check-up", "Cleaning", "X-ray", "Eye test", "Blood test", "Physiotherapy", "Vaccination")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_VISITS = ("support call", "delivery", "installation", "shop visit")
_EMAIL_LETTERS = str.maketrans("áäéëíóöúüç", "aaeeioouuc", "' ")


@dataclass(frozen=True, slots=True)
class Sample:
    """One list: the inputs of createOutdial and createTargets, without the outdial's id."""

    outdial: JsonObject
    targets: list[JsonObject]
    dialers: tuple[str, ...] = ("demo",)
    """The names of those who call it; a callback is kept for the one who was asked."""
    has_bad_trunk: bool = False
    """Whether its calls fail for a while, so that its breaker opens once."""


def samples() -> list[Sample]:
    """Three lists, the same at every start."""
    dice = random.Random(555)  # noqa: S311 - variety, not secrecy
    people = _people(dice)
    return [
        Sample(
            _outdial(
                *("Appointment reminders", "Calls the day before a visit", "c1", [2, 2, 1, 0, 0], 30),
                retryRules=[
                    {"dispositions": ["BUSY"], "fromNth": 2, "action": "RETRY", "waitSeconds": 45},
                    {"dispositions": ["BUSY"], "action": "RETRY", "waitSeconds": 15, "jitterPercent": 20},
                    {"dispositions": ["MACHINE"], "destinations": [0], "action": "NEXT_DESTINATION"},
                ],
            ),
            [_appointment(dice, next(people), number) for number in range(1, 141)],
            dialers=("ann", "ben"),
        ),
        Sample(
            _outdial(
                *("Customer survey", "Three questions after a contact", "c2", [2, 1, 0, 0, 0], 45),
                retryRules=[{"dispositions": ["NO_ANSWER"], "fromNth": 2, "action": "FINISH"}],
                pacing={"claimsPerSecond": 2, "maxOpenAttempts": 4},
            ),
            [_survey(dice, next(people), number) for number in range(1, 161)],
        ),
        Sample(
            _outdial(
                *("Overdue invoices", "Friendly first reminder", "c3", [3, 2, 1, 0, 0], 20),
                retryRules=[{"dispositions": ["FAILED"], "action": "RETRY", "waitSeconds": 30}],
                pacing={"breaker": {"failurePercent": 30, "windowSeconds": 60, "minCalls": 10, "pauseSeconds": 10}},
            ),
            [_invoice(dice, next(people), number) for number in range(1, 81)],
            has_bad_trunk=True,
        ),
    ]


def _outdial(name: str, detail: str, campaign: str, limits: list[int], retry_seconds: int, **policy: Any) -> JsonObject:
    return {
        "name": name,
        "detail": detail,
        "campaignId": f"0192d0a0-0000-7000-8000-0000000000{campaign}",
        # A real list waits minutes or hours between tries, a demo should not.
        "dialPolicy": {"maxTryCounts": limits, "retryIntervalSeconds": retry_seconds, "leaseSeconds": 30, **policy},
    }


def _appointment(dice: random.Random, person: "_Person", number: int) -> JsonObject:
    time = f"{dice.randrange(8, 18):02}:{dice.choice((0, 20, 40)):02}"
    treatment = dice.choice(_TREATMENTS)
    row = {
        "key": f"patient-{1000 + number}",
        "name": person.name,
        "detail": f"{treatment}, {dice.choice(_DAYS)} at {time}",
        "data": json.dumps({"treatment": treatment, "time": time}),
        "destination0": {"target": person.phone(), "targetName": "Mobile"},
    }
    if number % 3 == 0:
        row["destination1"] = {"target": person.phone(), "targetName": "Home"}
    if number % 5 == 0:
        row["destination2"] = {"type": "EMAIL", "target": person.email, "targetName": "Mail"}
    return row


def _survey(dice: random.Random, person: "_Person", number: int) -> JsonObject:
    row = {
        "key": f"contact-{20_000 + number}",
        "name": person.name,
        "detail": f"After the {dice.choice(_VISITS)} last {dice.choice(_DAYS)}",
        "data": json.dumps({"language": dice.choice(("en", "es", "fr"))}),
        "destination0": {"target": person.phone(), "targetName": "Mobile"},
    }
    if number % 4 == 0:
        row["destination1"] = {"type": "WHATSAPP", "target": person.phone(), "targetName": "WhatsApp"}
    return row


def _invoice(dice: random.Random, person: "_Person", number: int) -> JsonObject:
    days, cents = dice.randrange(8, 60), dice.randrange(1_900, 240_000)
    row = {
        "key": f"invoice-{7000 + number}",
        "name": person.name,
        "detail": f"{cents / 100:,.2f} EUR, {days} days overdue",
        "data": json.dumps({"cents": cents, "daysOverdue": days}),
        "priority": 5 if days > 40 else 0,
        "destination0": {"target": person.phone(), "targetName": "Office"},
    }
    if number % 2 == 0:
        row["destination1"] = {"type": "SIP", "target": f"sip:{person.mailbox}@pbx.example.com", "targetName": "Desk"}
    if number % 3 == 0:
        row["destination2"] = {"type": "EMAIL", "target": person.email, "targetName": "Accounts"}
    return row


@dataclass(frozen=True, slots=True)
class _Person:
    first_name: str
    last_name: str
    phone: Callable[[], str]
    """A different number at each call."""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def mailbox(self) -> str:
        return f"{self.first_name}.{self.last_name}".lower().translate(_EMAIL_LETTERS)

    @property
    def email(self) -> str:
        return f"{self.mailbox}@example.com"


def _people(dice: random.Random) -> Iterator[_Person]:
    """Nobody twice."""
    names = [(first, last) for first in _FIRST_NAMES for last in _LAST_NAMES]
    dice.shuffle(names)
    phones = _phones()
    for first, last in names:
        yield _Person(first, last, phones.__next__)


def _phones() -> Iterator[str]:
    """Reserved numbers, as people write them."""
    for ending in _AUSTRALIAN_ENDINGS:
        yield f"+61 491 570 {ending}"
    for number in count():
        yield f"+1 ({_AREA_CODES[number % 10]}) 555-{100 + number // 10 % 100:04}"
        yield f"+44 7700 {900_000 + number % 1000}"
