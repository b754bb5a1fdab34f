"""How long the migrations of tracking take on a registry of a million old rows.

python -m bench.backfill [--rows 1000000]
"""

import argparse
import os
import sqlite3
import tempfile
import time
from pathlib import Path

STATUSES = ("pending", "processing", "completed", "completed", "completed", "completed", "failed", "failed", "deleted")


def fill(database: Path, rows: int) -> None:
    connection = sqlite3.connect(database)
    connection.execute(
        "INSERT INTO collections_app_collection (name, owner, visibility, creation_date, embedding_vendor,"
        " embedding_model, embedding_endpoint, embedding_api_key)"
        " VALUES ('old', 'ana', 'private', '2024-01-01', 'local', 'm', '', '')"
    )
    connection.executemany(
        "INSERT INTO ingestion_fileregistry (original_filename, file_path, file_url, file_size, plugin_name,"
        " plugin_params, status, document_count, owner, created_at, updated_at, collection_id)"
        " VALUES (?, '', '', 1000, 'simple_ingest', '{\"chunk_size\": 1000}', ?, 7, 'ana',"
        " '2024-03-01 09:00:00', '2024-03-01 10:00:00', 1)",
        ((f"file-{number}.txt", STATUSES[number % len(STATUSES)]) for number in range(rows)),
    )
    connection.commit()
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="kb-backfill-") as folder:
        os.environ |= {"KB_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "kbproject.settings", "KB_LOG_LEVEL": "WARNING"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", "ingestion", "0001", verbosity=0)
        fill(Path(folder) / "kb.sqlite3", rows)
        for name in ("0002", "0003", "0004"):
            began = time.monotonic()
            call_command("migrate", "ingestion", name, verbosity=0)
            print(f"{name}  {time.monotonic() - began:6.1f} s   for {rows:,} rows", flush=True)


if __name__ == "__main__":
    main()
