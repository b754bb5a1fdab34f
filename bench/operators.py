"""What operators' pages cost: queries and time of each page of admin and API, among few jobs and among many.

    python -m bench.operators [--few 100] [--many 100000] [--repeat 5]

In this process, with Django's test client, so that the time is the page's own. Medians.
"""

import argparse
import statistics
import time
from typing import Any

from bench._setup import FOLDER
from bench.api import seed

# isort: split
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from collections_app.models import Collection
from ingestion.filters import Order
from ingestion.fingerprint import fingerprint
from ingestion.models import FileRegistry, JobEvent, Worker

ADMIN = "/admin/ingestion/fileregistry/"
PAGES = {
    "admin: start page": "/admin/",
    "admin: jobs": ADMIN,
    "admin: failed jobs": f"{ADMIN}?status=failed",
    "admin: jobs of a code": f"{ADMIN}?error_code=vendor_timeout",
    "admin: jobs of an owner": f"{ADMIN}?owner=bench",
    "admin: jobs of a day": f"{ADMIN}?submitted=2023-11-15",
    "admin: search by name": f"{ADMIN}?q=report-77",
    "admin: failures in groups": f"{ADMIN}failures/",
    "admin: a job": f"{ADMIN}{{job}}/change/",
    "admin: the diary": "/admin/ingestion/jobevent/",
    "admin: collections": "/admin/collections_app/collection/",
    "API: all jobs": "/ingestion-jobs",
    "API: failed jobs": "/ingestion-jobs?status=failed",
    "API: jobs of an owner": "/ingestion-jobs?owner=bench",
    "API: jobs of a code": "/ingestion-jobs?code=vendor_timeout",
    "API: part of a name": "/ingestion-jobs?text=report-77",
    "API: by time of change": "/ingestion-jobs?ordering=-updated_at",
    "API: counted": "/ingestion-jobs?count=true",
    "API: page in the middle": "{middle}",
    "API: failures in groups": "/ingestion/failures",
    "API: a job": "/collections/{collection}/ingestion-jobs/{job}",
    "API: a collection's jobs": "/collections/{collection}/ingestion-jobs",
    "API: summary": "/collections/{collection}/ingestion-status",
}
REASONS = (
    "vendor_timeout",
    "corrupt",
    "encrypted",
    "no_text",
    "http_status",
    "plugin_crashed",
    "timed_out",
    "too_large",
)


def fill(jobs: int) -> None:
    """Add that many jobs in a collection of their own, with reasons for those that failed, and diaries."""
    collection = Collection.objects.create(
        name=f"bench {jobs}", owner="bench", embedding_vendor="local", embedding_model="m"
    )
    seed(FOLDER / "kb.sqlite3", collection.pk, jobs)
    table = FileRegistry._meta.db_table
    with connection.cursor() as cursor:
        for place, code in enumerate(REASONS):
            message = f"A reason of the kind {code}."
            cursor.execute(
                f"UPDATE {table} SET error_code = %s, error_message = %s, error_fingerprint = %s, "  # noqa: S608
                'error_details = \'{"hint": "Do something."}\' '
                "WHERE status = 'failed' AND collection_id = %s AND id %% %s = %s",
                [code, message, fingerprint(message), collection.pk, len(REASONS), place],
            )
        cursor.execute(
            f"INSERT INTO {JobEvent._meta.db_table} (job_id, name, owner, at, kind, attempt, message, data) "  # noqa: S608
            f"SELECT id, original_filename, owner, created_at, entry, 1, 'said', '{{}}' FROM {table}, "
            "(SELECT 'submitted' AS entry UNION SELECT 'claimed' UNION SELECT 'completed') WHERE collection_id = %s",
            [collection.pk],
        )
        cursor.execute("ANALYZE")


def addresses() -> dict[str, str]:
    failed = FileRegistry.objects.failed().order_by("-id").values_list("pk", "collection_id")[0]
    pks = FileRegistry.objects.order_by("pk").values_list("pk", flat=True)
    middle = pks[len(pks) // 2]
    cursor = Order("id").cursor(middle, middle)
    named = {"job": failed[0], "collection": failed[1], "middle": f"/ingestion-jobs?ordering=id&cursor={cursor}"}
    return {name: path.format(**named) for name, path in PAGES.items()}


def measure(repeat: int) -> dict[str, tuple[int, float]]:
    client = Client(HTTP_AUTHORIZATION=f"Bearer {settings.LAMB_API_KEY}")
    client.force_login(get_user_model().objects.get())

    def page(path: str) -> Any:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer

    found = {}
    for name, path in addresses().items():
        page(path)
        taken = []
        for _ in range(repeat):
            with CaptureQueriesContext(connection) as queries:
                began = time.perf_counter()
                page(path)
                taken.append(1000 * (time.perf_counter() - began))
        found[name] = (len(queries), statistics.median(taken))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    get_user_model().objects.create_superuser("root")
    for pid in range(3):
        Worker.objects.create(host="elsewhere", boot_id="b", pid=pid, process_started=1.0)
    fill(given.few)
    few = measure(given.repeat)
    fill(given.many - given.few)
    many = measure(given.repeat)
    print(f"{'':30}{f'{given.few:,} jobs':>20}{f'{given.many:,} jobs':>24}")
    for name in PAGES:
        cells = (f"{queries:>4} queries {ms:>7.1f} ms" for queries, ms in (few[name], many[name]))
        print(f"{name:<30}{'   '.join(cells)}")


if __name__ == "__main__":
    main()
