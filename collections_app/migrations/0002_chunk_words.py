"""The full-text index, filled from the chunks that are stored: a million of 500 characters take about 20 s.

Taking it back and migrating again builds it anew. Only SQLite has one so far.
"""

from django.db import migrations

TABLE = "collections_app_chunkwords"
STATEMENTS = (
    # Contentless, since the text stands in the chunks. columnsize=0: lengths are not asked for, and cost a row each.
    f"""
    CREATE VIRTUAL TABLE {TABLE}
    USING fts5(text, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2')
    """,
    # FTS5 merges its segments inside the transaction of whoever writes, a share for every 64 pages. Small pages make
    # it little and often, and merging eight segments at a time makes it rarer: the longest transaction of the reaper
    # took 64 ms with the defaults (4050 and 4), and takes 34 ms.
    f"INSERT INTO {TABLE} ({TABLE}, rank) VALUES ('pgsz', 1000)",  # noqa: S608
    f"INSERT INTO {TABLE} ({TABLE}, rank) VALUES ('automerge', 8)",  # noqa: S608
    # How its rows are numbered, collections_app.search.fulltext explains. In their order FTS5 writes fewest segments.
    f"""
    INSERT INTO {TABLE} (rowid, text)
    SELECT document.collection_id * {2**40} + chunk.id, chunk.text
    FROM collections_app_document document JOIN collections_app_chunk chunk ON chunk.document_id = document.id
    ORDER BY document.collection_id, document.id, chunk.position
    """,  # noqa: S608
)


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for statement in STATEMENTS:
            schema_editor.execute(statement)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"DROP TABLE {TABLE}")


class Migration(migrations.Migration):
    dependencies = [("collections_app", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
