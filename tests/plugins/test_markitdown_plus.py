"""markitdown_plus_ingest: its modes, its pictures, its figures."""

import json

import pytest

from plugins.base import PluginError
from plugins.documents import describe_images
from plugins.markitdown_plus_ingest import MarkItDownPlusIngest
from plugins.parameters import validate
from plugins.registry import describe
from tests.plugins import documents
from tests.plugins.documents import PAGE_END, docx, drawing, image, pdf, pptx, save
from tests.plugins.vision import Vision, words_for

URL = "http://kb.example/static/ann/books/0f.docx"
SECRET = "sk-secret-key-of-the-collection"


def ingest(path, **kwargs):
    return list(MarkItDownPlusIngest().ingest(str(path), **kwargs))


@pytest.fixture
def listen():
    """Callbacks, and what they heard."""

    class Heard:
        def __init__(self):
            self.progress, self.warnings, self.stats = [], [], {}
            self.callbacks = {
                "progress_callback": lambda *step: self.progress.append(step),
                "warning_callback": lambda *what: self.warnings.append(what),
                "stats_callback": self.stats.update,
            }

    return Heard()


@pytest.fixture
def vision(monkeypatch):
    monkeypatch.setenv("KB_FETCH_ALLOW_PRIVATE", "127.0.0.0/8")
    monkeypatch.setattr(describe_images, "WAITS", (0.01, 0.02))
    monkeypatch.setattr(describe_images, "LONGEST_WAIT", 0.1)
    with Vision() as server:
        yield server


def described(path, vision, **kwargs):
    given = {"image_descriptions": "llm", "openai_api_key": SECRET, "openai_base_url": vision.url}
    return ingest(path, **given | kwargs)


def two_pictures(tmp_path):
    first, second = drawing("rId7", "A door"), drawing("rId8", "")
    text = f"This door is the first picture: {first}{PAGE_END}And this is the second picture: {second}"
    return save(tmp_path, "0f.docx", docx([("", text)], pictures={"rId7": image(1), "rId8": image(2)}))


def letters(chunks):
    return "".join("".join(chunk["text"] for chunk in chunks).split())


# -- Modes ------------------------------------------------------------------------------------------


def test_chunks_carry_what_the_contract_names(tmp_path):
    path = save(tmp_path, "0f.docx", docx([("Heading1", "Report"), ("", "Words.")]))
    (chunk,) = ingest(path, file_url=URL, original_filename="Report.docx", citation="Ann", chunk_size=500)
    assert chunk["metadata"] == {
        "source": "0f.docx",
        "filename": "Report.docx",
        "extension": "docx",
        "file_size": path.stat().st_size,
        "file_url": URL,
        "original_file_url": URL,
        "markdown_file_url": "http://kb.example/static/ann/books/0f.md",
        "image_description_mode": "none",
        "images_extracted": 0,
        "chunking_strategy": "standard_recursivecharactertextsplitter",
        "chunk_size": 500,
        "chunk_overlap": 200,
        "heading_path": ["Report"],
        "citation": "Ann",
        "chunk_index": 0,
        "page": 1,
    }
    assert (tmp_path / "0f.md").read_text() == "# Report\n\nWords."


def test_pages_become_chunks_with_their_numbers(tmp_path, listen):
    path = save(tmp_path, "a.pdf", pdf([f"Here is what is printed on page {n}." for n in range(1, 6)]))
    chunks = ingest(path, chunking_mode="by_page", pages_per_chunk=2, **listen.callbacks)
    assert [(chunk["text"], chunk["metadata"]["page"], chunk["metadata"]["page_range"]) for chunk in chunks] == [
        ("Here is what is printed on page 1.\n\nHere is what is printed on page 2.", 1, "1-2"),
        ("Here is what is printed on page 3.\n\nHere is what is printed on page 4.", 3, "3-4"),
        ("Here is what is printed on page 5.", 5, "5"),
    ]
    assert chunks[0]["metadata"]["pages_per_chunk"] == 2
    assert listen.stats["chunking_strategy"] == chunks[0]["metadata"]["chunking_strategy"] == "by_page"
    assert listen.warnings == []


def test_sections_become_chunks(tmp_path):
    path = save(tmp_path, "a.html", b"<p>Before.</p><h1>A</h1><h2>One</h2><p>x</p><h2>Two</h2><p>y</p>")
    chunks = ingest(path, chunking_mode="by_section", split_on_heading=2, headings_per_chunk=2)
    assert [chunk["text"] for chunk in chunks] == ["Before.", "# A\n\n## One\n\nx\n\n## Two\n\ny"]
    metadata = chunks[1]["metadata"]
    assert metadata["chunking_strategy"] == "by_section"
    assert metadata["section_titles"] == ["## One", "## Two"]
    assert (metadata["section_count"], metadata["parent_path"]) == (2, "A")
    assert (metadata["split_on_heading"], metadata["headings_per_chunk"]) == (2, 2)


@pytest.mark.parametrize(
    ("name", "data", "params", "reason"),
    [
        ("a.html", b"<p>Words.</p>", {"chunking_mode": "by_page"}, "Files of type .html have no pages"),
        ("a.html", b"<h1>T</h1><p>Words.</p>", {"chunking_mode": "by_section"}, "no heading of level 2"),
        ("a.docx", docx([("", "words and " * 400)]), {"chunking_mode": "by_page"}, "does not tell where its pages end"),
        ("a.csv", b"a,b\n1,2\n", {"chunking_mode": "by_section"}, "Files of type .csv are split by size"),
    ],
)
def test_what_has_nothing_to_go_by_is_split_by_size_with_a_warning(tmp_path, listen, name, data, params, reason):
    chunks = ingest(save(tmp_path, name, data), **params, **listen.callbacks)
    assert chunks[0]["metadata"]["chunking_strategy"].startswith("standard_")
    assert [reason in message for message, _ in listen.warnings] == [True]
    assert listen.warnings[0][1]["code"] == "mode_fallback"
    assert "warning" in [timing["stage"] for timing in listen.stats["stage_timings"]]


@pytest.mark.parametrize("unit", ["char", "word", "line"])
def test_units_work_here_too(tmp_path, unit):
    (chunk,) = ingest(save(tmp_path, "a.json", b'{"a": "words"}'), chunk_unit=unit)
    assert chunk["metadata"]["chunking_strategy"] == f"standard_{unit}_windows"


def test_tables_are_read_as_a_stream_and_their_markdown_is_written(tmp_path, listen):
    rows = "".join(f"{n},row {n}\n" for n in range(40_000))
    chunks = ingest(save(tmp_path, "a.csv", f"n,note\n{rows}".encode()), **listen.callbacks)
    assert chunks[-1]["text"].endswith("| 39999 | row 39999 |")
    assert (tmp_path / "a.md").read_text().endswith("| 39999 | row 39999 |\n")
    assert any("MB read" in message for _, _, message in listen.progress)
    assert listen.stats["content_length"] == len((tmp_path / "a.md").read_text())


def test_progress_counts_five_stages_and_ends_with_the_last(tmp_path, listen):
    ingest(two_pictures(tmp_path), image_descriptions="basic", **listen.callbacks)
    assert list(dict.fromkeys(step[:2] for step in listen.progress)) == [(n, 5) for n in range(6)]


def test_figures_name_each_stage_and_file(tmp_path, listen):
    ingest(two_pictures(tmp_path), image_descriptions="basic", file_url=URL, **listen.callbacks)
    stats = listen.stats
    stages = [timing["stage"] for timing in stats["stage_timings"]]
    assert stages == ["conversion", "image_extraction", "chunking", "finalization"]
    assert all(timing["timestamp"].endswith("Z") and timing["duration_ms"] >= 0 for timing in stats["stage_timings"])
    folder = "http://kb.example/static/ann/books/"
    assert stats["output_files"] == {
        "markdown_url": f"{folder}0f.md",
        "images_folder_url": None,
        "original_file_url": URL,
        "images": [f"{folder}0f.img001.png", f"{folder}0f.img002.png"],
    }
    assert stats["images_extracted"] == 2
    assert stats["markdown_preview"] == (tmp_path / "0f.md").read_text()


# -- Pictures ---------------------------------------------------------------------------------------


def test_nothing_leaves_the_server_unless_it_is_asked_for(tmp_path, vision):
    path = two_pictures(tmp_path)
    key = {"openai_api_key": SECRET, "openai_base_url": vision.url}
    for mode in ("none", "basic", None):
        ingest(path, image_descriptions=mode, **key)
    ingest(path, **key)
    assert vision.requests == []


def test_pictures_are_mentioned_by_name(tmp_path):
    (first, second) = ingest(two_pictures(tmp_path), image_descriptions="basic", chunking_mode="by_page")
    assert first["text"] == "This door is the first picture: ![A door](img001.png)"
    assert second["text"] == "And this is the second picture: ![](img002.png)"
    assert first["metadata"]["images_extracted"] == 2


def test_pictures_are_described_at_their_place(tmp_path, vision, listen):
    (first, second) = described(two_pictures(tmp_path), vision, chunking_mode="by_page", **listen.callbacks)
    tail = "With brackets and lines."
    assert first["text"] == f"This door is the first picture: ![A door – {words_for(image(1))} {tail}](img001.png)"
    assert second["text"] == f"And this is the second picture: ![{words_for(image(2))} {tail}](img002.png)"
    stats = listen.stats
    assert stats["images_with_llm_descriptions"] == 2
    assert [(call["image"], call["tokens_used"], call["success"], call["error"]) for call in stats["llm_calls"]] == [
        ("img001.png", 77, True, None),
        ("img002.png", 77, True, None),
    ]
    assert stats["total_llm_duration_ms"] == sum(call["duration_ms"] for call in stats["llm_calls"])
    assert vision.keys == [f"Bearer {SECRET}"] * 2
    assert [request["model"] for request in vision.requests] == ["gpt-4o-mini"] * 2
    assert vision.pictures() == [image(1), image(2)]
    assert (2, 5, "Describing picture 2 of 2...") in listen.progress
    assert listen.warnings == []


def test_large_pictures_are_sent_smaller(tmp_path, vision):
    path = save(tmp_path, "a.docx", docx([("", drawing("rId7", ""))], pictures={"rId7": image(1, size=(2000, 400))}))
    described(path, vision, image_model="some-model")
    assert len(vision.pictures()[0]) < len(image(1, size=(2000, 400))) / 4
    assert vision.requests[0]["model"] == "some-model"


def test_a_retry_does_not_ask_again(tmp_path, vision, listen):
    path = two_pictures(tmp_path)
    kept = {"kept_folder": str(tmp_path / "kept"), "content_hash": "ab" * 32}
    first = described(path, vision, **kept)
    again = described(path, vision, chunk_size=150, chunk_overlap=0, **kept, **listen.callbacks)
    assert letters(again) == letters(first)
    assert len(vision.requests) == 2
    assert listen.stats["llm_calls"] == []
    assert listen.stats["images_with_llm_descriptions"] == 2
    assert "kept from an earlier run" in json.dumps(listen.stats["stage_timings"])
    described(path, vision, image_model="another", **kept)
    assert len(vision.requests) == 4


def test_without_a_key_pictures_are_mentioned_and_the_diary_says_why(tmp_path, vision, listen):
    chunks = ingest(two_pictures(tmp_path), image_descriptions="llm", openai_base_url=vision.url, **listen.callbacks)
    assert "![A door](img001.png)" in chunks[0]["text"]
    assert vision.requests == []
    assert chunks[0]["metadata"]["image_description_mode"] == "basic"
    assert [data for _, data in listen.warnings] == [{"code": "no_vendor"}]
    assert "info" in [timing["stage"] for timing in listen.stats["stage_timings"]]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(tmp_path, vision, listen, status):
    vision.fail(status, 2, Retry_After="0")
    described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert len(vision.requests) == 4
    assert listen.stats["images_with_llm_descriptions"] == 2


@pytest.mark.parametrize("fault", [(500, 3), (400, 1)])
def test_a_picture_that_fails_costs_its_description_only(tmp_path, vision, listen, fault):
    vision.fail(*fault)
    described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert [call["success"] for call in listen.stats["llm_calls"]] == [False, True]
    assert listen.stats["llm_calls"][0]["error"] == f"the server answered with status {fault[0]}"
    (warning,) = listen.warnings
    assert warning[0].startswith("1 of 2 pictures have no description: ")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "invalid_api_key"), (403, ""), (404, "model_not_found"), (429, "insufficient_quota")],
)
def test_an_answer_that_holds_for_all_pictures_ends_the_asking(tmp_path, vision, listen, status, code):
    vision.fail(status, 1, code)
    chunks = described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert len(vision.requests) == 1
    assert "![A door](img001.png)" in chunks[0]["text"]
    shown = f"the server answered with status {status}" + (f" ({code})" if code else "")
    assert listen.warnings[0][0] == f"2 of 2 pictures have no description: {shown}."
    assert listen.warnings[0][1]["stopped"] == shown


def test_three_failures_in_a_row_end_the_asking(tmp_path, vision, listen):
    vision.fail(400, 9)
    data = pptx([("a", "b")] * 5, pictures={number: image(number) for number in range(1, 6)})
    described(save(tmp_path, "a.pptx", data), vision, **listen.callbacks)
    assert len(vision.requests) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        [],
        {"choices": []},
        {"choices": [{"message": {"content": None}}]},
        {"choices": "x"},
        b"x" * 2_000_000,
    ],
)
def test_answers_that_make_no_sense_fail_one_picture(tmp_path, vision, listen, body):
    vision.answer(body)
    described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert [call["success"] for call in listen.stats["llm_calls"]] == [False, True]


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "A bird."}}], "usage": None},
        {"choices": [{"message": {"content": [{"type": "text", "text": "A"}, {"type": "text", "text": "bird."}]}}]},
    ],
)
def test_answers_of_other_shapes_are_read(tmp_path, vision, listen, answer):
    vision.answer(answer)
    chunks = described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert "A door – A bird.]" in chunks[0]["text"]
    assert listen.stats["images_with_llm_descriptions"] == 2
    assert listen.warnings == []


@pytest.mark.parametrize("key", ["sk–secret", "sk-\nsecret"])
def test_a_key_that_cannot_be_sent_costs_the_descriptions_alone(tmp_path, vision, listen, key):
    chunks = described(two_pictures(tmp_path), vision, openai_api_key=key, **listen.callbacks)
    assert "![A door](img001.png)" in chunks[0]["text"]
    assert vision.requests == []
    assert len(listen.stats["llm_calls"]) == 1
    assert "the key of the collection" in listen.warnings[0][0]
    assert "secret" not in json.dumps([listen.warnings, listen.stats])


def test_blanks_around_the_key_are_not_sent(tmp_path, vision):
    described(two_pictures(tmp_path), vision, openai_api_key=f" {SECRET}\n")
    assert set(vision.keys) == {f"Bearer {SECRET}"}


def test_pictures_that_are_refused_one_by_one_do_not_end_the_asking(tmp_path, vision, listen):
    vision.fail(400, 2, "content_policy_violation")
    vision.answer({"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]})
    vision.fail(400, 1, "invalid_image_format")
    data = pptx([("a", "b")] * 6, pictures={number: image(number) for number in range(1, 7)})
    described(save(tmp_path, "a.pptx", data), vision, **listen.callbacks)
    assert len(vision.requests) == 6
    assert listen.stats["images_with_llm_descriptions"] == 2
    assert listen.warnings[0][1]["stopped"] == ""


def test_pictures_that_are_damaged_do_not_blame_the_server(tmp_path, vision, listen, monkeypatch):
    def damaged(picture):
        raise describe_images.CannotDescribe("the picture is damaged", alone=True)

    whole = describe_images._data_url
    broken = {"img001.png", "img002.png", "img003.png"}
    monkeypatch.setattr(describe_images, "_data_url", lambda one: damaged(one) if one.name in broken else whole(one))
    data = pptx([("a", "b")] * 4, pictures={number: image(number) for number in range(1, 5)})
    described(save(tmp_path, "a.pptx", data), vision, **listen.callbacks)
    assert len(vision.requests) == 1
    assert listen.warnings[0][0] == "3 of 4 pictures have no description: the picture is damaged."


def test_models_that_limit_their_answers_differently_are_asked_in_their_way(tmp_path, vision, listen):
    error = {"error": {"code": "unsupported_parameter", "param": "max_tokens", "message": "Use the other."}}
    vision.faults.append((400, error, {}))
    described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert listen.stats["images_with_llm_descriptions"] == 2
    assert ["max_tokens" in request for request in vision.requests] == [True, False, False]
    assert "max_completion_tokens" in vision.requests[1]
    vision.faults.extend([(400, error, {})] * 3)
    described(two_pictures(tmp_path), vision, **listen.callbacks)
    assert len(vision.requests) == 5
    assert "unsupported_parameter" in listen.warnings[0][0]


def test_another_server_of_the_same_model_is_asked_itself(tmp_path, vision, monkeypatch):
    path, kept = two_pictures(tmp_path), {"kept_folder": str(tmp_path / "kept"), "content_hash": "ab" * 32}
    described(path, vision, **kept)
    with Vision() as other:
        described(path, other, **kept)
        assert len(other.requests) == 2


def test_a_server_that_is_not_there_or_not_allowed_is_named_without_the_key(tmp_path, vision, listen, monkeypatch):
    path = two_pictures(tmp_path)
    gone = Vision()
    gone.server_close()
    described(path, gone, **listen.callbacks)
    monkeypatch.setenv("KB_FETCH_ALLOW_PRIVATE", "")
    described(path, vision, **listen.callbacks)
    assert vision.requests == []
    assert "the server cannot be reached" in listen.warnings[0][0]
    assert "private network" in listen.warnings[1][0]


def test_the_key_appears_nowhere(tmp_path, vision, listen):
    vision.fail(401, 1, "invalid_api_key")
    kept = {"kept_folder": str(tmp_path / "kept"), "content_hash": "ab" * 32}
    chunks = described(two_pictures(tmp_path), vision, **kept, **listen.callbacks)
    told = json.dumps([chunks, listen.progress, listen.warnings, listen.stats])
    assert SECRET not in told
    assert "sk-" not in told
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_scan_can_be_described(tmp_path, vision, listen):
    scan = image(1, "JPEG")
    path = save(tmp_path, "scan.pdf", pdf(["", ""], pictures={1: scan, 2: image(2, "JPEG")}))
    with pytest.raises(PluginError, match="scanned"):
        ingest(path, image_descriptions="basic")
    chunks = described(path, vision, chunking_mode="by_page", **listen.callbacks)
    assert [words_for(scan) in chunk["text"] for chunk in chunks] == [True, False]
    assert [chunk["metadata"]["page"] for chunk in chunks] == [1, 2]


def test_kinds_without_pictures_say_so(tmp_path, listen):
    ingest(save(tmp_path, "a.html", b"<p>Words.</p>"), image_descriptions="basic", **listen.callbacks)
    assert [timing["stage"] for timing in listen.stats["stage_timings"]][1] == "info"


# -- Parameters -------------------------------------------------------------------------------------


def test_parameters_are_those_of_the_contract():
    specs = describe(MarkItDownPlusIngest, "x").parameters
    assert specs["_privacy_notice"]["type"] == specs["_privacy_notice"]["ui_hint"] == "info"
    assert "sent to" in specs["_privacy_notice"]["description"]
    for name, values in (
        ("image_descriptions", ["none", "basic", "llm"]),
        ("chunking_mode", ["standard", "by_page", "by_section"]),
    ):
        assert specs[name]["enum"] == values == list(specs[name]["enum_labels"])
        assert (specs[name]["default"], specs[name]["ui_hint"]) == (values[0], "select")
    limits = {
        name: (spec["default"], spec["min"], spec["max"], spec["ui_hint"])
        for name, spec in specs.items()
        if "min" in spec
    }
    assert limits == {
        "chunk_size": (1000, 100, 10_000, "slider"),
        "chunk_overlap": (200, 0, 500, "slider"),
        "pages_per_chunk": (1, 1, 10, "number"),
        "split_on_heading": (2, 1, 6, "number"),
        "headings_per_chunk": (1, 1, 10, "number"),
    }
    assert specs["pages_per_chunk"]["applicable_to"] == ["pdf", "docx", "pptx"]
    assert specs["chunk_size"]["visible_when"] == {"chunking_mode": ["standard"]}
    assert specs["headings_per_chunk"]["visible_when"] == {"chunking_mode": ["by_section"]}
    assert specs["citation"]["ui_hint"] == "textarea"
    clean, errors = validate(specs, {})
    assert errors == []
    assert clean["image_model"] == "gpt-4o-mini"
    assert "_privacy_notice" not in clean


def test_the_vendors_key_is_asked_for():
    info = describe(MarkItDownPlusIngest, "x")
    assert info.takes_api_key
    assert not {"txt", "md", "mp3"} & set(info.supported_file_types)
    assert {"pdf", "docx", "pptx", "xlsx", "epub", "html", "csv", "json", "xml", "zip"} <= set(
        info.supported_file_types
    )


@pytest.mark.parametrize("extension", ["zip", "xml", "xlsx"])
def test_other_kinds_are_converted_as_everywhere(tmp_path, extension):
    data = {
        "zip": documents.zipped(
            {"a.docx": docx([("", f"Deep {drawing('rId7', 'in a zip')}")], pictures={"rId7": image(1)})}
        ),
        "xml": b"<note>Deep</note>",
        "xlsx": documents.xlsx([["Deep"]]),
    }[extension]
    text = "".join(
        chunk["text"] for chunk in ingest(save(tmp_path, f"a.{extension}", data), image_descriptions="basic")
    )
    assert "Deep" in text
    assert "\ue000" not in text
