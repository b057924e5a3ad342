"""Time zones of destinations: taken from a number only if that is certain, and the same on each machine."""

import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import resources

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from app import clock, outdials, targets, zones
from app.addresses import DestinationType
from app.auth import Viewer
from app.errors import Rejected
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.zones import Known, TimeZoneSource
from tests.support import factories as make

WINTER, SUMMER = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)
NAMES = sorted(resources.files("tzdata").joinpath("zones").read_text().split())
INSTANTS = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
TEL = DestinationType.TEL


def of_number(number: str, at: datetime) -> str | None:
    found = zones.known(TEL, number, None, None, at)
    assert (found.source is TimeZoneSource.PHONE_NUMBER) == (found.time_zone is not None)
    return found.time_zone


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("+4930123456", "Europe/Berlin"),
        ("+4915112345678", "Europe/Berlin"),
        ("+8613800138000", "Asia/Shanghai"),
        ("+919876543210", "Asia/Kolkata"),
        ("+447911123456", "Europe/London"),  # Guernsey, Jersey and the Isle of Man have the same time
        ("+12125550142", "America/New_York"),
        ("+15205550142", "America/Phoenix"),
        ("+34922123456", "Atlantic/Canary"),
        ("+972501234567", "Asia/Jerusalem"),
    ],
)
def test_a_number_whose_metadata_names_one_time_has_its_zone(number: str, name: str) -> None:
    assert [of_number(number, at) for at in (WINTER, SUMMER)] == [name, name]


@pytest.mark.parametrize(
    "number",
    [
        *("+18005550142", "+61412345678", "+79161234567", "+34612345678", "+351912345678", "+15550100001"),
        *("+80012345678", "+881612345678"),  # of no country
    ],
)
def test_a_number_that_may_be_in_zones_with_different_times_is_never_guessed(number: str) -> None:
    assert [of_number(number, at) for at in (WINTER, SUMMER)] == [None, None]


@pytest.mark.parametrize(
    ("number", "metadata", "name"),
    [
        ("+212612345678", "Atlantic/Canary", "Africa/Casablanca"),
        ("+213551234567", "Europe/Paris", "Africa/Algiers"),
        ("+218912345678", "Europe/Bucharest", "Africa/Tripoli"),
        ("+211912345678", "Africa/Nairobi", "Africa/Juba"),
        ("+50581234567", "America/Chicago", "America/Managua"),
        ("+74012345678", "Europe/Bucharest", None),
    ],
)
def test_the_zone_of_another_country_stands_for_the_numbers_own(number: str, metadata: str, name: str | None) -> None:
    """The metadata has them for countries that have the same time for a part of the year."""
    assert (metadata,) in {TIMEZONE_DATA.get(number[1 : 1 + length]) for length in (2, 3)}
    assert [of_number(number, at) for at in (WINTER, SUMMER)] == [name, name]


@given(at=INSTANTS, number=st.sampled_from(sorted(TIMEZONE_DATA)))
def test_a_zone_from_a_number_has_the_time_of_each_zone_that_the_number_may_be_in(at: datetime, number: str) -> None:
    for text in (f"+{number}", f"+{number}5550142", f"+{number}12345678"):
        name = of_number(text, at)
        if name is not None:
            names = zones.of_number(text)
            assert {at.astimezone(zoneinfo.ZoneInfo(each)).utcoffset() for each in names} == {
                at.astimezone(zones.rules(name)).utcoffset()
            }
            regions = phonenumbers.region_codes_for_country_code(phonenumbers.parse(text).country_code or 0)
            assert any(name in phonenumbers_zones(region) for region in regions)


def phonenumbers_zones(region: str) -> set[str]:
    lines = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text().splitlines()
    return {line.split("\t")[2] for line in lines if line.startswith(region)}


def test_what_is_given_goes_before_the_number_and_the_outdial_comes_last() -> None:
    number, unknown = "+4930123456", "+18005550142"
    assert zones.known(TEL, number, "Asia/Tokyo", "UTC", WINTER) == Known("Asia/Tokyo", TimeZoneSource.GIVEN)
    assert zones.known(TEL, number, None, "UTC", WINTER) == Known("Europe/Berlin", TimeZoneSource.PHONE_NUMBER)
    assert zones.known(TEL, unknown, None, "UTC", WINTER) == Known("UTC", TimeZoneSource.OUTDIAL_DEFAULT)
    assert zones.known(TEL, unknown, None, None, WINTER) == Known(None, TimeZoneSource.UNKNOWN)


@pytest.mark.parametrize("kind", sorted(set(DestinationType) - {TEL, DestinationType.WHATSAPP}))
def test_only_telephone_numbers_say_where_somebody_is(kind: DestinationType) -> None:
    assert zones.known(kind, "+4930123456", None, None, WINTER).source is TimeZoneSource.UNKNOWN
    assert zones.known(kind, "+4930123456", "UTC", None, WINTER).source is TimeZoneSource.GIVEN


def test_each_zone_has_the_rules_of_the_pinned_package() -> None:
    for name in NAMES:
        if name != "Factory":
            assert zones.named(f" {name.upper()} ") == name
            assert zones.rules(name).key == name
    assert [zones.named(text) for text in ("", "Berlin", "../zones", "Factory", "zone.tab", "Europe")] == [None] * 6


def test_the_rules_do_not_come_from_the_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("zoneinfo")
    (folder / "Europe").mkdir()
    with resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").open("rb") as file:
        (folder / "Europe" / "Berlin").write_bytes(file.read())
    code = (
        "import datetime, zoneinfo; from app import zones; at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC);"
        "print([at.astimezone(make('Europe/Berlin')).hour for make in (zoneinfo.ZoneInfo, zones.rules)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONTZPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[9, 1]"


# ---------------------------------------------------------------- of stored targets

EXECUTION = Execution(schema, Context)
DESTINATIONS = "destinations { timeZone timeZoneSource }"


async def asked(viewer: Viewer, query: str, **variables: object) -> dict:
    payload = await EXECUTION.execute(EXECUTION.prepare(Operation(query, variables), viewer))
    assert "errors" not in payload, payload
    return payload["data"]


async def test_a_target_and_its_outdial_keep_the_zones_that_they_were_given(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer, time_zone="america/chicago")
    email = make.DestinationDraft("ann@example.com", DestinationType.EMAIL)
    made = await make.make_target(viewer, outdial.id, "+4930123456", email, time_zone=" europe/lisbon")
    assert (outdial.time_zone, made.time_zone) == ("America/Chicago", "Europe/Lisbon")
    query = f"query($id: ID!) {{ target(id: $id) {{ timeZone outdial {{ timeZone }} {DESTINATIONS} }} }}"
    given = {"timeZone": "Europe/Lisbon", "timeZoneSource": "GIVEN"}
    for _ in range(3):  # the third time it is compiled
        found = await asked(viewer, query, id=made.id)
        assert found["target"] == {
            "timeZone": "Europe/Lisbon", "outdial": {"timeZone": "America/Chicago"}, "destinations": [given, given],
        }  # fmt: skip

    changed = await targets.update(viewer, made.id, changes={"time_zone": None})
    assert (changed.time_zone, changed.version) == (None, 2)
    assert (await make.read(viewer, made.id)) == changed
    found = await asked(viewer, query, id=made.id)
    assert found["target"]["destinations"] == [
        {"timeZone": "Europe/Berlin", "timeZoneSource": "PHONE_NUMBER"},
        {"timeZone": "America/Chicago", "timeZoneSource": "OUTDIAL_DEFAULT"},
    ]
    await outdials.update(viewer, outdial.id, changes={"time_zone": None})
    found = await asked(viewer, query, id=made.id)
    assert found["target"]["destinations"][1] == {"timeZone": None, "timeZoneSource": "UNKNOWN"}


async def test_a_zone_that_does_not_exist_is_refused_where_it_stands(database: str, viewer: Viewer) -> None:
    outdial = await make.make_outdial(viewer)
    made = await make.make_target(viewer, outdial.id)
    for work, path in (
        (make.make_outdial(viewer, time_zone="Europe/Bern"), ("time_zone",)),
        (outdials.update(viewer, outdial.id, changes={"time_zone": "UTC+1"}), ("time_zone",)),
        (make.make_target(viewer, outdial.id, time_zone="CEST"), ("target", "time_zone")),
        (targets.update(viewer, made.id, changes={"time_zone": "x" * 100_000}), ("time_zone",)),
    ):
        with pytest.raises(Rejected) as refused:
            await work
        [error] = refused.value.errors
        assert (error.code, error.path) == ("INVALID", path)
        assert "Europe/Berlin" in error.message


async def test_zones_that_agree_in_winter_alone_are_known_in_winter_alone(
    database: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of Arizona's area code 928: the Navajo Nation moves its clocks, the rest does not. As an example."""
    monkeypatch.setattr(zones, "of_number", lambda number: ("America/Denver", "America/Phoenix"))
    outdial = await make.make_outdial(viewer)
    made = await make.make_target(viewer, outdial.id, "+19285550142")
    for at, name in ((WINTER, "America/Denver"), (SUMMER, None)):
        monkeypatch.setattr(clock, "shift", clock.shift + at - clock.now() + timedelta(seconds=1))
        found = await asked(viewer, f"query($id: ID!) {{ target(id: $id) {{ {DESTINATIONS} }} }}", id=made.id)
        assert found["target"]["destinations"][0]["timeZone"] == name
