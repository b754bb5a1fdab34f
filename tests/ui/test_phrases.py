"""What engine and plugins say is told in the reader's language, and nothing else is touched."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation

from collections_app import catalogue
from ingestion.failures import _REMEDIES
from ingestion.models import FileRegistry, FileStatus
from ingestion.ui.phrase_list import PHRASES
from ingestion.ui.phrases import FORMS, PLAIN, Form, forms_for, translated
from tests.ingestion.factories import make_job

SPANISH = {"HTTP_ACCEPT_LANGUAGE": "es"}


@pytest.fixture
def spanish():
    with translation.override("es"):
        yield


def test_the_list_is_what_the_sources_say():
    harvest = Path(settings.BASE_DIR) / "locale" / "harvest.py"
    done = subprocess.run([sys.executable, harvest, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Waiting for a worker", "Esperando un proceso"),
        ("Converting page 3 of 45...", "Convirtiendo la página 3 de 45..."),
        ("Conversion complete: 1 chunk", "Conversión terminada: 1 fragmento"),
        ("Conversion complete: 948 chunks", "Conversión terminada: 948 fragmentos"),
        ("Cancelled by ana", "Cancelado por ana"),
        ("The PDF is protected with a password.", "La fuente (PDF) está protegida con una contraseña."),
        (
            "The Word document holds no text.",
            "No hay texto en la fuente (documento de Word).",
        ),
        (
            "Splitting content into chunks... 0.3 of 1.3 MB read",
            "Dividiendo el contenido en fragmentos... 0.3 de 1.3 MB leídos",
        ),
        (
            "'http://a.example/' could not be fetched: the server cannot be reached. Next try at 10:00:00 UTC.",
            "No se pudo descargar 'http://a.example/': no se puede acceder al servidor."
            " Próximo intento a las 10:00:00 UTC.",
        ),
        (
            "Nothing in the archive can be read. a.pdf: The PDF is protected with a password.",
            "No se puede leer nada del archivo comprimido. a.pdf: La fuente (PDF) está protegida con una contraseña.",
        ),
    ],
)
def test_sentences_and_what_is_put_into_them(spanish, said, told):
    assert translated(said) == told


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Something that a plugin of others says.",
        "my page.pdf",
        "Bread and butter",
        "Lecture 3: the state",
        "Read on to learn how these tests work.",
        "The website is protected and accelerated by 3 pages.",
        "What the vendor of the camera says: page",
        "100 % of 5 %(made)s",
        "x" * 5000,
    ],
)
def test_what_is_not_known_stays_as_it_is(spanish, said):
    assert translated(said) == said


def test_a_known_sentence_beside_an_unknown_one(spanish):
    assert translated("A strange one. Upload it again.") == "A strange one. Súbalo de nuevo."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Cancelled by section", "Cancelado por section"),
        ("Reading 12 slides...", "Leyendo 12 slides..."),
        ("Crawling https://a.example/page", "Rastreando https://a.example/page"),
        ("the video “Letters: 12 pages” (x) is private.", "el vídeo «Letters: 12 pages» (x) es privado."),
    ],
)
def test_a_name_is_the_same_in_every_language(spanish, said, told):
    assert translated(said) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("1 entry of a.json has no text and was left out.", "1 entrada de a.json no tiene texto y se omitió."),
        ("2 entries of a.json have no text and were left out.", "2 entradas de a.json no tienen texto y se omitieron."),
        (
            "Only failed jobs can be retried; this one is completed.",
            "Solo se pueden reintentar trabajos fallidos; este está completado.",
        ),
        (
            "The embedding server at http://localhost:11434 cannot be reached.",
            "El servidor de vectores en http://localhost:11434 no es accesible.",
        ),
        (
            "Read 3 pages, 2 unchanged since the last time, 1 could not be read",
            "3 páginas leídas, 2 sin cambios desde la última vez, 1 sin poder leerse",
        ),
        (
            "Some pictures were left out: 3 too large, 1 too many.",
            "Se omitieron algunas imágenes: 3 demasiado grandes, 1 por encima del límite.",
        ),
        (
            "limit must be a whole number, such as 5. chunk_size must be at most 8000.",
            "limit tiene que ser un número entero, como 5. chunk_size tiene que ser como máximo 8000.",
        ),
        ("Took the place of job 12", "Sustituyó el trabajo 12"),
        ("Imported from LAMB's KB server", "Importado del servidor KB de LAMB"),
        ("the video aaaaaaaaaaa is private.", "el vídeo aaaaaaaaaaa es privado."),
    ],
)
def test_no_english_is_left_within(spanish, said, told):
    assert translated(said) == told


def test_values_keep_their_signs(spanish):
    assert translated("Crawling https://a.example/%C3%B1?x=%(y)s") == "Rastreando https://a.example/%C3%B1?x=%(y)s"


def test_english_readers_get_what_was_said():
    with translation.override("en"):
        assert translated("Waiting for a worker") == "Waiting for a worker"
    assert translated(None) == ""


def test_each_phrase_is_recognised_and_has_its_spanish(spanish):
    same = set()
    for msgid in PHRASES:
        values = {name: str(number) for number, name in enumerate(Form(msgid).names, 1)}
        said = msgid % values
        if translated(said) == said:
            same.add(msgid)
    assert same == {"%(first)s: %(second)s", "%(first)s, %(second)s"}  # frames for other sentences
    assert len(FORMS) + len(PLAIN) == len(PHRASES)


@pytest.mark.parametrize("unit", [" of ", ": ", " and ", "a. ", "The captions of “", "%(a)s"])
def test_hostile_texts_cost_little(spanish, unit):
    began = time.process_time()
    translated(unit * (4000 // len(unit)))
    assert time.process_time() - began < 2


def test_few_forms_are_tried_on_a_sentence():
    """A page shows a hundred messages, and some of plugins by others are of a thousand characters."""
    tried = []
    for form in FORMS:
        found = list(forms_for(form.msgid % dict.fromkeys(form.names, "A value 17 of it")))
        assert form in found
        tried.append(len(found))
    assert len(list(forms_for("Row 12 could not be matched: it is not in the list."))) < len(FORMS) / 3
    assert sum(tried) / len(tried) < len(FORMS) / 3


def test_what_helps_is_said_in_spanish_for_each_failure(spanish):
    for remedy in _REMEDIES.values():
        assert translated(remedy.advice) != remedy.advice
        assert translated(remedy.sentence) != remedy.sentence
        assert "KB_" not in remedy.advice and "INGESTION_" not in remedy.advice  # it speaks to people who upload


def test_what_our_plugins_declare_is_said_in_spanish(spanish):
    plugins = catalogue.current()
    known: list[Any] = [*plugins.ingest.values(), *plugins.query.values()]
    assert len(known) > 8
    for plugin in known:
        assert translated(plugin.description) != plugin.description
        for name, spec in plugin.parameters.items():
            for text in (spec.get("description"), spec.get("help_text")):
                assert not text or translated(text) != text, (plugin.name, name, text)


# -- On the pages -----------------------------------------------------------------------------------


def failed(collection, message, hint=""):
    job = make_job(collection=collection, status=FileStatus.FAILED)
    FileRegistry.objects.filter(pk=job.pk).update(error_message=message, error_details={"hint": hint})
    return job


def test_a_failure_in_spanish(ana, collection):
    job = failed(collection, "The PDF is protected with a password.", "Remove the password and upload it again.")
    page = ana.get(f"/ui/collections/{collection.pk}/jobs/{job.pk}", **SPANISH).content.decode()
    assert "La fuente (PDF) está protegida con una contraseña." in page
    assert "Quite la contraseña y súbalo de nuevo." in page
    assert "protected with a password" not in page


def test_the_wait_in_spanish(ana, collection):
    job = make_job(collection=collection, status=FileStatus.PENDING)
    page = ana.get(f"/ui/collections/{collection.pk}/jobs/{job.pk}", **SPANISH).content.decode()
    assert "No hay ningún proceso en marcha." in page
    assert "No worker is running" not in page


def test_names_are_not_translated_but_escaped(ana, collection):
    failed(collection, "<b>x</b> holds no text.")
    page = ana.get(f"/ui/collections/{collection.pk}", **SPANISH).content.decode()
    assert "&lt;b&gt;x&lt;/b&gt; no contiene texto." in page


def test_a_form_of_parameters_in_spanish(ana, collection):
    page = ana.get(f"/ui/collections/{collection.pk}/add", **SPANISH).content.decode()
    assert "Longitud máxima de un fragmento" in page
    assert "Greatest length of a chunk" not in page


def test_a_wrong_parameter_in_spanish(ana, collection):
    form = {"text": "Hola.", "name": "a.txt", "plugin": "simple_ingest", "param-chunk_size": "many"}
    answer = ana.post(f"/ui/collections/{collection.pk}/add/text", form, **SPANISH, follow=True)
    assert "tiene que ser un número entero" in answer.content.decode()
