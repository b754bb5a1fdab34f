from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from collections_app.embeddings.base import VendorError
from collections_app.embeddings.breaker import Breaker, VendorOpen, key_for
from collections_app.models import VendorState
from tests.collections_app.factories import make_collection

pytestmark = pytest.mark.django_db

DOWN = VendorError("vendor_unavailable", "It is down.", transient=True)


@pytest.fixture
def collection():
    return make_collection(embedding_vendor="ollama", embedding_endpoint="http://gpu:11434")


def opened(collection, breaker: Breaker | None = None) -> Breaker:
    breaker = breaker or Breaker()
    for _ in range(3):
        breaker.failed(collection, DOWN)
    return breaker


def let_the_pause_pass() -> None:
    assert VendorState.objects.update(open_until=Now() - timedelta(seconds=1)) == 1


def seconds_open() -> float:
    state = VendorState.objects.get()
    assert state.open_until is not None
    return (state.open_until - datetime.now(UTC)).total_seconds()


def test_two_failures_leave_it_closed_and_the_third_opens_it(collection):
    breaker = Breaker()
    assert breaker.failed(collection, DOWN) is None
    assert breaker.failed(collection, DOWN) is None
    breaker.check(collection)
    until = breaker.failed(collection, DOWN)
    with pytest.raises(VendorOpen) as caught:
        breaker.check(collection)
    assert caught.value.until == until
    assert caught.value.transient
    assert 2 < (caught.value.retry_after or 0) <= 5


def test_a_success_between_failures_begins_the_count_anew(collection):
    breaker = Breaker()
    breaker.failed(collection, DOWN)
    breaker.failed(collection, DOWN)
    assert breaker.succeeded(collection) is False
    breaker.failed(collection, DOWN)
    breaker.check(collection)


def test_other_processes_see_it_open(collection):
    opened(collection)
    with pytest.raises(VendorOpen):
        Breaker().check(collection)


def test_all_ways_to_write_the_endpoint_share_it(collection):
    opened(collection)
    same = make_collection(embedding_vendor="ollama", embedding_endpoint="http://gpu:11434/api/embeddings")
    other = make_collection(embedding_vendor="ollama", embedding_endpoint="http://other:11434")
    Breaker().check(other)
    with pytest.raises(VendorOpen):
        Breaker().check(same)
    assert key_for("ollama", "") == key_for("ollama", "http://localhost:11434/api/embed")


def test_after_the_pause_exactly_one_caller_probes(collection):
    opened(collection)
    let_the_pause_pass()
    first, second = Breaker(), Breaker()
    first.check(collection)
    with pytest.raises(VendorOpen) as caught:
        second.check(collection)
    assert (caught.value.retry_after or 0) > 60


def test_a_prober_that_never_comes_back_is_followed_by_another(collection):
    opened(collection)
    let_the_pause_pass()
    Breaker().check(collection)
    let_the_pause_pass()
    Breaker().check(collection)


def test_a_successful_probe_closes_it_and_says_so(collection):
    opened(collection)
    let_the_pause_pass()
    prober = Breaker()
    prober.check(collection)
    assert prober.succeeded(collection) is True
    assert prober.succeeded(collection) is False
    Breaker().check(collection)
    assert Breaker().failing_since(collection) is None


def test_a_failed_probe_opens_it_for_longer(collection):
    breaker = Breaker(base_seconds=10)
    opened(collection, breaker)
    assert 5 < seconds_open() <= 10
    for longest in (20, 40, 80):
        let_the_pause_pass()
        breaker.check(collection)
        breaker.failed(collection, DOWN)
        assert longest / 2 - 1 < seconds_open() <= longest


def test_it_never_stays_open_longer_than_its_limit(collection):
    breaker = opened(collection, Breaker(base_seconds=100, longest_seconds=120))
    for _ in range(3):
        let_the_pause_pass()
        breaker.check(collection)
        breaker.failed(collection, DOWN)
        assert seconds_open() <= 120


def test_it_waits_as_long_as_the_vendor_asks(collection):
    asks = VendorError("vendor_rate_limited", "Slow down.", transient=True, retry_after=60)
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(collection, asks)
    assert 55 < seconds_open() <= 60


def test_calls_that_were_under_way_when_it_opened_do_not_count_again(collection):
    opened(collection)
    before = VendorState.objects.get()
    assert Breaker().failed(collection, DOWN) == before.open_until
    assert VendorState.objects.get().failures == before.failures


def test_a_lasting_failure_says_nothing_about_the_vendors_health(collection):
    breaker = Breaker()
    for _ in range(5):
        assert breaker.failed(collection, VendorError("vendor_rejected", "Wrong key.")) is None
    assert not VendorState.objects.exists()


def test_the_outage_counts_from_its_first_failure(collection):
    breaker = opened(collection)
    since = breaker.failing_since(collection)
    assert since is not None
    let_the_pause_pass()
    breaker.check(collection)
    breaker.failed(collection, DOWN)
    assert breaker.failing_since(collection) == since


def test_a_healthy_vendor_costs_one_read_and_no_write(collection, django_assert_num_queries):
    breaker = Breaker()
    with django_assert_num_queries(1):
        breaker.check(collection)
        breaker.succeeded(collection)
        breaker.succeeded(collection)


def test_the_built_in_model_has_no_breaker(django_assert_num_queries):
    local, breaker = make_collection(), Breaker()
    with django_assert_num_queries(0):
        for _ in range(4):
            breaker.failed(local, DOWN)
        breaker.check(local)
        assert breaker.succeeded(local) is False
        assert breaker.failing_since(local) is None
    assert key_for("local", "") == ""
