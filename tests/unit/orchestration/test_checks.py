"""What is found of a Prefect that is not there."""

from prefect.settings import PREFECT_API_URL, temporary_settings

from alchemiscale_prefect.orchestration.checks import check_prefect


def test_a_prefect_that_is_not_there_or_not_set_is_told() -> None:
    for settings, status in (
        ({"updates": {PREFECT_API_URL: "http://127.0.0.1:1/api"}}, "failed"),
        ({"restore_defaults": {PREFECT_API_URL}}, "skipped"),
    ):
        with temporary_settings(**settings):
            assert [(check.name, check.status.value) for check in check_prefect("pool", "run-task/pool")] == [
                ("Prefect API", status)
            ]
