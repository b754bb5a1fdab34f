"""The admin of ingestion: jobs and what can be done with them, failures in groups, the diary, the workers."""

from django.apps import apps
from django.contrib import admin

from ingestion.admin.diary import JobEventAdmin
from ingestion.admin.jobs import JobAdmin
from ingestion.admin.workers import WorkerAdmin

__all__ = ["JobAdmin", "JobEventAdmin", "WorkerAdmin"]

# The bell's own tables say nothing about jobs: a job's row is the truth, and a cleared queue loses none.
for bell_model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(bell_model):
        admin.site.unregister(bell_model)
