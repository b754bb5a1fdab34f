"""Operations that Django's own do too slowly for a registry of a million rows, or not at all."""

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddField
from django.db.migrations.operations.base import Operation


class AddColumn(AddField):
    """AddField by ``ALTER TABLE ADD COLUMN``.

    On SQLite Django copies the whole table for each column that is not null. SQLite itself needs no copy when the
    column has a constant default in the database, as all of these have (or they are null).
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            BaseDatabaseSchemaEditor.add_field(schema_editor, model, model._meta.get_field(self.name))


class AddCheckConstraints(Operation):
    """Adds several CHECK constraints at once: on SQLite that is one copy of the table, not one a constraint."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, constraints: list[models.CheckConstraint]) -> None:
        self.model_name = model_name
        self.constraints = constraints

    def state_forwards(self, app_label, state):
        for constraint in self.constraints:
            state.add_constraint(app_label, self.model_name.lower(), constraint)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "sqlite":
            schema_editor._remake_table(model)
        else:
            for constraint in self.constraints:
                schema_editor.add_constraint(model, constraint)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "sqlite":
            schema_editor._remake_table(model)
        else:
            for constraint in self.constraints:
                schema_editor.remove_constraint(model, constraint)

    def describe(self):
        return f"Add {len(self.constraints)} check constraints to {self.model_name}"


SQLITE_COUNT = """
INSERT OR IGNORE INTO ingestion_jobcount (collection_id, status, jobs) VALUES ({row}.collection_id, {row}.status, 0);
UPDATE ingestion_jobcount SET jobs = jobs {change}
 WHERE collection_id = {row}.collection_id AND status = {row}.status;
"""
SQLITE_TRIGGERS = {
    "job_counted_insert": ("AFTER INSERT ON ingestion_fileregistry", "WHEN NEW.kind = 'ingestion'", ["NEW +"]),
    "job_counted_delete": ("AFTER DELETE ON ingestion_fileregistry", "WHEN OLD.kind = 'ingestion'", ["OLD -"]),
    "job_counted_move": (
        "AFTER UPDATE OF status, collection_id ON ingestion_fileregistry",
        "WHEN NEW.kind = 'ingestion' AND (OLD.status <> NEW.status OR OLD.collection_id <> NEW.collection_id)",
        ["OLD -", "NEW +"],
    ),
}

# Both rows of a move are locked in one order, so that two moves in opposite directions cannot deadlock.
POSTGRES_FUNCTION = """
CREATE FUNCTION kb_count_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ingestion_jobcount AS c (collection_id, status, jobs)
  SELECT collection_id, status, sum(change)::bigint
    FROM (SELECT OLD.collection_id, OLD.status, -1 AS change WHERE TG_OP <> 'INSERT' AND OLD.kind = 'ingestion'
          UNION ALL
          SELECT NEW.collection_id, NEW.status, 1 WHERE TG_OP <> 'DELETE' AND NEW.kind = 'ingestion') AS changes
   GROUP BY collection_id, status
   ORDER BY collection_id, status
  ON CONFLICT (collection_id, status) DO UPDATE SET jobs = c.jobs + EXCLUDED.jobs;
  RETURN NULL;
END $$;
CREATE TRIGGER job_counted_change AFTER INSERT OR DELETE ON ingestion_fileregistry
  FOR EACH ROW EXECUTE FUNCTION kb_count_job();
CREATE TRIGGER job_counted_move AFTER UPDATE OF status, collection_id ON ingestion_fileregistry
  FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.collection_id <> NEW.collection_id)
  EXECUTE FUNCTION kb_count_job();
"""


def create_sqlite_triggers(schema_editor):
    for name, (event, condition, steps) in SQLITE_TRIGGERS.items():
        body = "".join(SQLITE_COUNT.format(row=step.split()[0], change=f"{step.split()[1]} 1") for step in steps)
        schema_editor.execute(f"CREATE TRIGGER {name} {event} {condition} BEGIN {body} END")


class CountJobs(Operation):
    """Fills ``JobCount`` and lets triggers keep it. Jobs of another kind than ingestion are not counted.

    SQLite drops a table's triggers when Django copies the table, so a later migration that alters FileRegistry ends
    with this operation again. The tests of the summary fail where that was forgotten.

    :param again: the triggers are there already, and stay when this is taken back
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, *, again: bool = False) -> None:
        self.again = again

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self.drop_triggers(schema_editor)
        schema_editor.execute("DELETE FROM ingestion_jobcount")
        schema_editor.execute(
            "INSERT INTO ingestion_jobcount (collection_id, status, jobs) "
            "SELECT collection_id, status, count(*) FROM ingestion_fileregistry WHERE kind = 'ingestion' "
            "GROUP BY collection_id, status"
        )
        if schema_editor.connection.vendor == "sqlite":
            create_sqlite_triggers(schema_editor)
        else:
            schema_editor.execute(POSTGRES_FUNCTION, params=None)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if not self.again:
            self.drop_triggers(schema_editor)

    def drop_triggers(self, schema_editor):
        if schema_editor.connection.vendor == "sqlite":
            for name in SQLITE_TRIGGERS:
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
        else:
            schema_editor.execute("DROP TRIGGER IF EXISTS job_counted_change ON ingestion_fileregistry", params=None)
            schema_editor.execute("DROP TRIGGER IF EXISTS job_counted_move ON ingestion_fileregistry", params=None)
            schema_editor.execute("DROP FUNCTION IF EXISTS kb_count_job()", params=None)

    def describe(self):
        return "Count jobs by collection and status with triggers"
