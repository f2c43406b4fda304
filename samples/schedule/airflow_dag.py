"""An Airflow DAG (2.x and 3.x) that onboards new growers every night; it calls the library, not the command.

Login and app fields come from the worker's environment, as in `bulk-onboard run`; so do the addresses of the
message and the ping after each run (BULK_ONBOARD_NOTIFY, BULK_ONBOARD_PING).
"""

import asyncio
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task


# Exit codes that a second attempt does not change: rows that need attention, wrong settings, a wrong file, a
# refused login, a bug.
FINAL = {1, 2, 3, 4, 70}


@dag(schedule="30 2 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def bulk_onboard_growers() -> None:
    """The whole export is handed over every night; only what is new is sent."""

    # Trying again is safe: a run does only what is left, and asks Leaf where an answer was lost.
    @task(retries=2, retry_delay=timedelta(minutes=15), execution_timeout=timedelta(hours=6))
    def onboard() -> dict[str, int]:
        from airflow.exceptions import AirflowFailException  # noqa: PLC0415

        import bulk_onboard  # noqa: PLC0415  (not when Airflow reads the file)
        from bulk_onboard.errors import BulkOnboardError  # noqa: PLC0415

        try:
            result = asyncio.run(
                bulk_onboard.onboard(
                    "/exports/growers.parquet",
                    provider="raven",
                    output="/var/lib/bulk-onboard/reports",
                    min_rows=1000,
                    max_new="5%",
                    fail_on="change",
                )
            )
        except BulkOnboardError as error:
            if error.exit_code in FINAL:
                raise AirflowFailException(str(error)) from None
            raise
        if result.exit_code:
            counts = {status: count for status, count in result.counts.items() if count}
            kind = AirflowFailException if result.exit_code in FINAL else RuntimeError
            raise kind(f"bulk-onboard ended with {result.exit_code}: {counts}")
        return dict(result.counts)

    onboard()


bulk_onboard_growers()
