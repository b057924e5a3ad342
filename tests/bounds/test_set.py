"""What settings bound: each bound has a test that shows it just within and just beyond."""

import asyncio
from datetime import timedelta
from importlib import import_module

import asyncpg
import pytest

from app import bounds, clock, db, events, housekeeping, imports
from app.auth import Viewer
from app.errors import LimitExceeded, RateLimited
from app.graphql.transport import answers
from app.rest.downloads import Sharing
from app.settings import Settings
from app.turns import Lanes
from tests.support import factories
from tests.support.taking_in import take_in

A_MOMENT = timedelta(minutes=1)
HOURS, DAYS = 3, 2
PROOFS = {
    "address_connections_max": "bounds.test_connections.test_an_address_has_a_number_of_connections",
    "answer_bytes_max": "bounds.test_set.test_an_answer_has_a_number_of_bytes",
    "answers_bytes_max": "test_answers.test_large_answers_wait_for_room_in_their_order",
    "base_path": "test_settings.test_a_text_is_taken_from_its_least_length_to_its_most_and_not_beyond",
    "body_bytes_per_second_min": "bounds.test_bodies.test_a_body_has_a_rate",
    "connections_max": "bounds.test_connections."
    "test_a_process_has_a_number_of_connections_and_still_answers_its_probes",
    "customer_exports_max": "bounds.test_set.test_a_customer_reads_so_many_files_at_once",
    "customer_sockets_max": "test_fairness.test_subscriptions_and_sockets_of_a_customer_are_bounded",
    "customer_subscriptions_max": "test_fairness.test_subscriptions_and_sockets_of_a_customer_are_bounded",
    "database_pool_size": "bounds.test_set.test_a_process_has_so_many_connections_to_the_database",
    "event_retention_hours": "bounds.test_set.test_events_are_kept_for_so_long",
    "header_bytes_max": "bounds.test_headers.test_headers_have_a_number_of_bytes",
    "header_seconds_max": "bounds.test_headers.test_headers_have_a_time",
    "import_retention_days": "bounds.test_set.test_imports_are_kept_for_so_long",
    "json_depth_max": "bounds.test_json.test_bodies_and_messages_are_judged_before_they_are_decoded",
    "json_values_max": "bounds.test_json.test_bodies_and_messages_are_judged_before_they_are_decoded",
    "jwt_secret": "test_settings.test_a_text_is_taken_from_its_least_length_to_its_most_and_not_beyond",
    "keep_alive_seconds": "test_keep_alive.test_one_process_closes_it_then",
    "metrics_host": "test_scraping.test_the_port_is_open_on_its_own_address_alone",
    "metrics_port": "test_scraping.test_the_metrics_have_a_port_of_their_own_and_nothing_else_is_there",
    "metrics_token": "test_settings.test_a_text_is_taken_from_its_least_length_to_its_most_and_not_beyond",
    "rate_points_burst": "rates.test_admission.test_a_customer_may_spend_its_bucket_and_not_a_point_more",
    "rate_points_per_second": "rates.test_admission.test_a_customer_may_spend_its_bucket_and_not_a_point_more",
    "socket_init_bytes_max": "bounds.test_messages.test_a_message_before_the_acknowledgement_has_few_bytes",
    "socket_message_bytes_max": "bounds.test_messages.test_a_message_after_the_acknowledgement_has_more",
}
BOUND_NOTHING = {
    "allowed_origins", "compiled", "database_url", "default_region", "jwt_audience", "jwt_issuer", "jwt_jwks_url",
    "jwt_public_key", "log_format", "log_level", "settings_file", "tracing", "trusted_proxies",
}  # fmt: skip


def test_every_setting_that_bounds_something_has_a_test_of_its_bound() -> None:
    assert set(PROOFS) == set(Settings.model_fields) - BOUND_NOTHING


@pytest.mark.parametrize("proof", sorted(set(PROOFS.values())))
def test_there_is_each_test_that_the_table_names(proof: str) -> None:
    module, _, name = proof.rpartition(".")
    assert callable(getattr(import_module(f"tests.{module}"), name))


def test_a_customer_reads_so_many_files_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_settings", Settings.model_construct(customer_exports_max=2))
    sharing = Sharing(Lanes())
    with sharing.one("a"):
        with sharing.one("a"):
            with pytest.raises(RateLimited) as refused, sharing.one("a"):
                pass
            assert refused.value.retry_after_seconds == 10
            with sharing.one("b"):
                pass
        with sharing.one("a"):
            pass


def test_an_answer_has_a_number_of_bytes() -> None:
    payload = {"data": {"outdials": [{"name": "é" * 100}, {"name": "x"}]}}
    whole = answers.encode(payload, 10_000)
    assert answers.encode(payload, len(whole)) == whole
    with pytest.raises(LimitExceeded, match=f"more than {len(whole) - 1} bytes"):
        answers.encode(payload, len(whole) - 1)


async def _chore(name: str) -> None:
    listed = housekeeping.chores(event_retention_hours=HOURS, import_retention_days=DAYS)
    [chore] = [chore for chore in listed if chore.name == name]
    await chore.work()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)  # PostgreSQL drops whole partitions, some time later
async def test_events_are_kept_for_so_long(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    await factories.make_target(viewer, outdial.id)
    for shift, kept in ((timedelta(hours=HOURS) - A_MOMENT, 1), (timedelta(hours=HOURS) + A_MOMENT, 0)):
        clock.shift = shift
        await _chore("remove old events")
        assert len(await db.fetch("SELECT 1 AS one FROM target_event")) == kept
    assert await events.position(viewer.customer_id) is not None


async def test_imports_are_kept_for_so_long(database: str, viewer: Viewer) -> None:
    outdial = await factories.make_outdial(viewer)
    job = await take_in(viewer, outdial.id, "phone\nnobody\n")
    for shift, kept in ((timedelta(days=DAYS) - A_MOMENT, {job.id}), (timedelta(days=DAYS) + A_MOMENT, set())):
        clock.shift = shift
        await _chore("remove old imports")
        assert set(await imports.get_many(viewer, [job.id])) == kept


async def test_a_process_has_so_many_connections_to_the_database(postgres_url: str) -> None:
    await db.connect(postgres_url, pool_size=3)
    try:
        asked = [asyncio.create_task(db.fetch("SELECT pg_sleep(0.5)")) for _ in range(6)]
        await asyncio.sleep(0.25)
        connection = await asyncpg.connect(postgres_url)
        try:
            at_work = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE query LIKE 'SELECT pg_sleep(%' AND state = 'active' AND datname = current_database()"
            )
        finally:
            await connection.close()
        await asyncio.gather(*asked)
        assert at_work == 3
    finally:
        await db.close()
