"""The addresses under ``/ui/``."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.decorators.csrf import csrf_protect
from django.views.i18n import set_language

from ingestion.ui import add, ask, jobs, many, previews, shelf
from ingestion.ui.pages import public_page, unknown

app_name = "ui"
one = "collections/<int:collection_id>"

urlpatterns = [
    path("", shelf.shelf, name="shelf"),
    path(
        "login",
        public_page(
            LoginView.as_view(template_name="ui/login.html", next_page="ui:shelf", redirect_authenticated_user=True)
        ),
        name="login",
    ),
    path("logout", public_page(LogoutView.as_view(next_page="ui:login")), name="logout"),
    path("language", csrf_protect(set_language), name="language"),
    path("collections/new", shelf.create, name="create"),
    path(one, jobs.collection, name="collection"),
    path(f"{one}/live", jobs.live, name="live"),
    path(f"{one}/change", shelf.change, name="change"),
    path(f"{one}/delete", shelf.delete, name="delete"),
    path(f"{one}/many", many.many, name="many"),
    path(f"{one}/ask", ask.ask, name="ask"),
    path(f"{one}/add", add.add, name="add"),
    path(f"{one}/add/file", add.upload, name="upload"),
    path(f"{one}/add/addresses", add.fetch, name="fetch"),
    path(f"{one}/add/text", add.write, name="write"),
    path(f"{one}/preview", previews.begin, name="begin-preview"),
    path(f"{one}/preview/<int:job_id>", previews.show, name="preview"),
    path(f"{one}/preview/<int:job_id>/again", previews.again, name="preview-again"),
    path(f"{one}/preview/<int:job_id>/take-in", previews.take_in, name="take-in"),
    path(f"{one}/jobs/<int:job_id>", jobs.collection, name="job"),
    path(f"{one}/jobs/<int:job_id>/chunks", jobs.chunks, name="chunks"),
    path(f"{one}/jobs/<int:job_id>/retry", jobs.act, {"verb": "retry"}, name="retry"),
    path(f"{one}/jobs/<int:job_id>/cancel", jobs.act, {"verb": "cancel"}, name="cancel"),
    path(f"{one}/jobs/<int:job_id>/delete", jobs.act, {"verb": "delete"}, name="delete-job"),
    path("<path:rest>", unknown),
]
