"""The transport against a real server that misbehaves."""

import gzip
import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
from alchemiscale_prefect.sdk.retries import RetryPolicy, retry_after_seconds
from alchemiscale_prefect.sdk.transport import Transport
from tests.unit.sdk.conftest import QUICK, Answer, ScriptedServer
from tests.waiting import wait_for


def test_nothing_is_sent_before_the_first_request(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret")
    assert server.logins == 0
    transport.request("GET", "/info")
    assert server.logins == 1
    transport.close()


def test_one_login_serves_many_requests_and_connections_stay_open(transport: Transport, server: ScriptedServer) -> None:
    for _ in range(5):
        assert transport.request("GET", "/info").json() == "ok"
    assert server.logins == 1
    assert {request.headers["Authorization"] for request in server.received} == {"Bearer token-1"}


def test_threads_that_begin_together_log_in_once(transport: Transport, server: ScriptedServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: transport.request("GET", "/info"), range(32)))
    assert server.logins == 1
    assert len(server.received) == 32


def test_an_expired_token_is_renewed_once_by_threads_that_find_it_together(
    transport: Transport, server: ScriptedServer
) -> None:
    transport.request("GET", "/info")
    server.expire_token()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: transport.request("GET", "/info").json(), range(32)))
    assert answers == ["ok"] * 32
    assert server.logins == 2


def test_a_token_is_renewed_only_once_for_a_request(transport: Transport, server: ScriptedServer) -> None:
    server.valid_token = "never given"
    with pytest.raises(AlchemiscaleClientError, match="Status Code 401 : Unauthorized : Could not validate") as info:
        transport.request("GET", "/info")
    assert info.value.code == "not_authenticated"
    assert server.logins == 2
    assert len(server.received) == 2


def test_a_foreign_scope_is_refused_without_another_login(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [Answer(401, {"detail": "Targeted scope", "code": "not_authorized", "field": "scope"})]
    with pytest.raises(AlchemiscaleClientError) as info:
        transport.request("GET", "/networks/x")
    assert (info.value.code, info.value.field) == ("not_authorized", "scope")
    assert server.logins == 1


def test_a_wrong_key_is_told_at_once(transport: Transport, server: ScriptedServer) -> None:
    server.login_answers = [Answer(401, {"detail": "Incorrect identity or key", "code": "not_authenticated"})]
    with pytest.raises(AlchemiscaleClientError, match=r"^Status Code 401 : Unauthorized : Incorrect identity or key$"):
        transport.request("GET", "/info")
    assert server.logins == 1
    assert not server.received


def test_a_failed_login_is_tried_again_like_any_request(transport: Transport, server: ScriptedServer) -> None:
    server.login_answers = [Answer(503, {"detail": "starting"})]
    transport.request("GET", "/info")
    assert server.logins == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(transport: Transport, server: ScriptedServer, status: int) -> None:
    server.answers = [Answer(status, {"detail": "busy"})] * 2
    assert transport.request("GET", "/info").json() == "ok"
    assert len(server.received) == 3


def test_a_dropped_connection_is_made_again(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [Answer(drop=True), Answer(drop=True)]
    assert transport.request("POST", "/bulk/tasks/status/get", json={"tasks": []}).json() == "ok"
    assert len(server.received) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_other_errors_are_told_at_once(transport: Transport, server: ScriptedServer, status: int) -> None:
    server.answers = [Answer(status, {"detail": "no", "code": "some_code", "field": "x"})]
    with pytest.raises(AlchemiscaleClientError, match=rf"^Status Code {status} : [A-Z].* : no$") as info:
        transport.request("GET", "/networks/x")
    assert (info.value.status_code, info.value.code, info.value.field) == (status, "some_code", "x")
    assert len(server.received) == 1


def test_retries_end(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [Answer(503, {"detail": "busy"})] * 10
    with pytest.raises(AlchemiscaleClientError, match="Status Code 503 : Service Unavailable : busy"):
        transport.request("GET", "/info")
    assert len(server.received) == 4


def test_retries_without_end(server: ScriptedServer) -> None:
    server.answers = [Answer(503)] * 20
    transport = Transport(server.url, "me", "secret", retry=RetryPolicy(-1, 1.01, 0.001))
    assert transport.request("GET", "/info").json() == "ok"
    transport.close()


def test_what_must_not_be_done_twice_is_sent_again_only_if_it_had_no_effect(
    transport: Transport, server: ScriptedServer
) -> None:
    server.answers = [Answer(429), Answer(503)]
    assert transport.request("POST", "/transformations/x/tasks", json={}, idempotent=False).json() == "ok"
    server.answers = [Answer(drop=True)]
    with pytest.raises(AlchemiscaleConnectionError):
        transport.request("POST", "/transformations/x/tasks", json={}, idempotent=False)
    server.answers = [Answer(504)]
    with pytest.raises(AlchemiscaleClientError):
        transport.request("POST", "/transformations/x/tasks", json={}, idempotent=False)
    assert len(server.received) == 5


def test_retry_after_is_honoured_up_to_the_longest_wait(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret", retry=RetryPolicy(1, 1.01, 0.3))
    server.answers = [Answer(429, headers={"Retry-After": "1000"})]
    begin = time.monotonic()
    transport.request("GET", "/info")
    assert 0.3 <= time.monotonic() - begin < 100.0
    transport.close()


def test_retry_after_may_shorten_the_wait() -> None:
    policy = RetryPolicy(base_seconds=2.0, max_seconds=60.0)
    assert 0.0 <= policy.wait_seconds(5, retry_after=0.0) <= 2.0
    assert 10.0 <= policy.wait_seconds(1, retry_after=10.0) <= 12.0


def test_the_wait_grows_as_a_power_up_to_its_bound_and_never_overflows() -> None:
    policy = RetryPolicy(max_retries=-1, base_seconds=2.0, max_seconds=60.0)
    for retry, least in [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (100_000, 60.0)]:
        assert least <= policy.wait_seconds(retry) <= least + 2.0
    assert policy.allows(100_000)


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
def test_retry_after_in_seconds_or_as_a_date(header: str, seconds: float) -> None:
    assert retry_after_seconds(httpx.Response(503, headers={"Retry-After": header})) == seconds


def test_retry_after_as_a_date_to_come() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    seconds = retry_after_seconds(httpx.Response(503, headers={"Retry-After": header}))
    assert seconds is not None
    assert 80.0 <= seconds <= 100.0


@pytest.mark.parametrize("header", ["", "soon", "-3"])
def test_a_retry_after_that_says_nothing(header: str) -> None:
    assert retry_after_seconds(httpx.Response(503, headers={"Retry-After": header})) is None


def test_a_slow_server_is_given_up(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret", retry=RetryPolicy(1, 1.01, 0.01), timeout_seconds=0.1)
    server.answers = [Answer(delay_seconds=20.0)] * 2
    begin = time.monotonic()
    with pytest.raises(AlchemiscaleConnectionError, match=f"No answer from {server.url}: timed out"):
        transport.request("GET", "/info")
    assert time.monotonic() - begin < 15.0
    transport.close()


def test_no_server_at_all(server: ScriptedServer) -> None:
    url = server.url
    dead = Transport(url.replace(url.rsplit(":", 1)[1], "1"), "me", "secret", retry=QUICK)
    with pytest.raises(AlchemiscaleConnectionError, match="No answer from"):
        dead.request("GET", "/info")


def test_a_proxy_is_not_asked_for_what_runs_on_this_machine(
    transport: Transport, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert transport.request("GET", "/info").json() == "ok"


def test_a_redirect_is_told_not_followed(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [Answer(301, headers={"Location": "https://elsewhere.example.org/info"})]
    with pytest.raises(AlchemiscaleClientError, match=r"the API is at https://elsewhere\.example\.org/info"):
        transport.request("GET", "/info")


def test_an_error_that_is_no_json_is_shown_as_it_is(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [Answer(500, "a gateway's own page")]
    with pytest.raises(AlchemiscaleClientError, match="gateway's own page") as info:
        transport.request("GET", "/info")
    assert info.value.code == "error"


def test_a_path_prefix_of_the_api_is_kept(server: ScriptedServer) -> None:
    transport = Transport(server.url + "/alchemiscale/", "me", "secret", retry=QUICK)
    transport.request("GET", "/info", params={"name": "é b", "state": None})
    assert server.received[0].path == "/alchemiscale/info?name=%C3%A9+b"
    transport.close()


@pytest.mark.parametrize("compress", [True, 1, 9])
def test_a_compressed_body(transport: Transport, server: ScriptedServer, compress: bool | int) -> None:
    document = {"network": ["ä" * 1000]}
    transport.request("POST", "/networks", json=document, compress=compress)
    (request,) = server.received
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(gzip.decompress(request.body)) == document
    assert len(request.body) < 200


@pytest.mark.parametrize("compress", [False, 0])
def test_a_body_as_it_is(transport: Transport, server: ScriptedServer, compress: bool | int) -> None:
    transport.request("PUT", "/x", content=b"\x00raw", headers={"Content-Type": "application/zstd"}, compress=compress)
    (request,) = server.received
    assert "Content-Encoding" not in request.headers
    assert (request.method, request.headers["Content-Type"], request.body) == ("PUT", "application/zstd", b"\x00raw")


@pytest.mark.parametrize("compress", [-1, 10])
def test_a_compression_that_does_not_exist(transport: Transport, server: ScriptedServer, compress: int) -> None:
    with pytest.raises(ValueError, match="`compress` must be a bool or an integer between 0 and 9, inclusive"):
        transport.request("POST", "/networks", json={}, compress=compress)
    assert not server.received


NOT_THERE = Answer(404, {"detail": "there is no user identity 'alice'", "code": "not_found", "field": "identifier"})


@pytest.mark.parametrize("lost", [Answer(drop=True), Answer(503)])
def test_what_is_gone_after_a_lost_answer_was_removed(
    transport: Transport, server: ScriptedServer, lost: Answer
) -> None:
    server.answers = [lost, NOT_THERE]
    assert transport.request("DELETE", "/admin/identities/user/alice").is_success
    assert len(server.received) == 2


def test_what_was_never_there_is_said_to_be_missing(transport: Transport, server: ScriptedServer) -> None:
    server.answers = [NOT_THERE]
    with pytest.raises(AlchemiscaleClientError, match="there is no user identity"):
        transport.request("DELETE", "/admin/identities/user/alice")
    # only what removes is done when its object is gone
    server.answers = [Answer(drop=True), NOT_THERE]
    with pytest.raises(AlchemiscaleClientError, match="there is no user identity"):
        transport.request("GET", "/admin/identities/user/alice")


@pytest.mark.parametrize("url", ["alchemiscale.example.org", "localhost:8000", ""])
def test_a_url_without_scheme_is_refused_early(url: str) -> None:
    with pytest.raises(InvalidInput, match="must begin with http:// or https://"):
        Transport(url, "me", "secret")


@pytest.mark.parametrize("values", [(5, 1.0, 60.0), (-2, 2.0, 60.0), (5, 2.0, -1.0)])
def test_retry_settings_out_of_range(values: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match=r"'(retry_base_seconds|max_retries|retry_max_seconds)'"):
        RetryPolicy(*values)


def test_a_bad_certificate_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    tries = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise httpx.ConnectError("certificate verify failed") from ssl.SSLCertVerificationError("self-signed")

    transport = Transport("https://example.org", "me", "secret", retry=QUICK)
    monkeypatch.setattr(transport, "_new_http_client", lambda: httpx.Client(transport=httpx.MockTransport(refuse)))
    with pytest.raises(AlchemiscaleConnectionError, match="certificate verify failed"):
        transport.request("GET", "/info")
    assert len(tries) == 1
    transport.close()


def test_fan_out_keeps_the_order_and_bounds_the_requests_in_flight(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret", max_workers=3)
    running, most, lock = 0, 0, threading.Lock()

    def work(n: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01 * (n % 3))
        with lock:
            running -= 1
        return n * n

    assert list(transport.fan_out(work, range(20))) == [n * n for n in range(20)]
    assert 1 < most <= 3
    assert list(transport.fan_out(work, [])) == []


def test_fan_out_stays_only_a_little_ahead_of_who_takes_the_values(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret", max_workers=2)
    begun: list[int] = []
    values = transport.fan_out(begun.append, range(100))
    next(values)
    wait_for(lambda: len(begun) >= 5, "what is begun ahead", every=0.01)
    time.sleep(0.05)
    assert len(begun) == 5
    values.close()  # type: ignore[attr-defined]
    assert len(begun) == 5


def test_fan_out_ends_with_an_error(server: ScriptedServer) -> None:
    transport = Transport(server.url, "me", "secret", max_workers=2)
    begun = []

    def work(n: int) -> None:
        begun.append(n)
        time.sleep(0.01)
        if n == 1:
            raise KeyError("the second")

    with pytest.raises(KeyError, match="the second"):
        list(transport.fan_out(work, range(100)))
    assert len(begun) < 10


def _in_child(transport: Transport, answers: "multiprocessing.Queue[object]") -> None:
    answers.put(transport.request("GET", "/info").json())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_and_a_token_of_its_own(transport: Transport, server: ScriptedServer) -> None:
    transport.request("GET", "/info")
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[object] = context.Queue()
    with transport._session()._token_lock:  # as if another thread of the parent were logging in
        child = context.Process(target=_in_child, args=(transport, answers))
        child.start()
        assert answers.get(timeout=60) == "ok"
        child.join()
    assert transport.request("GET", "/info").json() == "ok"
    assert server.logins == 2
