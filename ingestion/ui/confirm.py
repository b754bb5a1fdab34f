"""Questions before what destroys something, as pages: the script of the list asks without leaving it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from collections_app.models import Collection
from ingestion.ui.listing import list_address
from ingestion.ui.pages import referring_page


def unsure(request: HttpRequest, found: Collection, question: tuple[str, str, str]) -> HttpResponse | None:
    """The question as a page, unless it was answered: the page's script asks without leaving it."""
    if request.POST.get("sure") == "1":
        return None
    title, consequence, button = question
    context = {
        "title": title,
        "consequence": consequence,
        "button": button,
        "carried": [pair for pair in carried(request) if pair[0] != "sure"],
        "back": referring_page(request) or list_address(request, found),
        "action": request.get_full_path(),
    }
    return render(request, "ui/confirm.html", context)


def carried(request: HttpRequest) -> list[tuple[str, str]]:
    """What a form sent, to be sent again with the answer."""
    pairs = [(name, value) for name in request.POST for value in request.POST.getlist(name)]
    return [pair for pair in pairs if pair[0] != "csrfmiddlewaretoken"]
