"""What people may set of ``markitdown_plus_ingest``."""

from typing import Any

from plugins.base import ParameterSpecs
from plugins.chunking import split_parameters
from plugins.documents.describe_images import DEFAULT_MODEL
from plugins.documents.passages import LONGEST

PAGED = ("pdf", "docx", "pptx")
_PRIVACY = (
    "With descriptions by a model, the pictures of the document are sent to the OpenAI-compatible vendor of this "
    "collection, with the collection's key and at its cost. In every other mode nothing leaves the server."
)


def image_parameters() -> ParameterSpecs:
    return {
        "_privacy_notice": {"type": "info", "description": _PRIVACY, "ui_hint": "info"},
        "image_descriptions": {
            "type": "string",
            "default": "none",
            "enum": ["none", "basic", "llm"],
            "enum_labels": {
                "none": "No pictures",
                "basic": "Extract pictures, mention them by name",
                "llm": "Extract pictures, have a model describe them",
            },
            "ui_hint": "select",
            "description": "What becomes of the pictures in a document",
            "help_text": "PDF, Word, PowerPoint, Excel and EPUB. A model describes them only in collections whose "
            "vendor is openai; elsewhere they are mentioned by name.",
        },
        "image_model": {
            "type": "string",
            "default": DEFAULT_MODEL,
            "description": "The model that describes pictures",
            "help_text": "Any model of the collection's vendor that reads pictures through chat completions.",
            "visible_when": {"image_descriptions": ["llm"]},
        },
    }


def chunking_parameters() -> ParameterSpecs:
    return {
        "chunking_mode": {
            "type": "string",
            "default": "standard",
            "enum": ["standard", "by_page", "by_section"],
            "enum_labels": {"standard": "By size", "by_page": "By page", "by_section": "By section"},
            "ui_hint": "select",
            "description": "What a chunk is",
            "help_text": "By page needs a PDF, a presentation or a Word document that tells its pages; by section "
            "needs headings. Without them the text is split by size.",
        },
        **_standard_parameters(),
        "pages_per_chunk": {
            **_number(1, 1, 10, "by_page"),
            "applicable_to": list(PAGED),
            "description": "How many pages make a chunk",
            "help_text": f"Pages longer than {LONGEST} characters become several chunks.",
        },
        "split_on_heading": {
            **_number(2, 1, 6, "by_section"),
            "description": "Level of the headings that begin a section",
            "help_text": "1 is the title. Deeper headings stay within their section.",
        },
        "headings_per_chunk": {
            **_number(1, 1, 10, "by_section"),
            "description": "How many sections make a chunk",
            "help_text": "Sections of different parents never share a chunk.",
        },
    }


def _standard_parameters() -> ParameterSpecs:
    """Those of every plugin that splits text, within the ranges that LAMB's form shows."""
    specs = split_parameters(1000, 200)
    specs["chunk_size"] |= {"min": 100, "max": 10_000, "ui_hint": "slider"}
    specs["chunk_overlap"] |= {"min": 0, "max": 500, "ui_hint": "slider"}
    specs["splitter_type"] |= {"ui_hint": "select"}
    return {name: {**spec, "visible_when": {"chunking_mode": ["standard"]}} for name, spec in specs.items()}


def _number(default: int, least: int, most: int, mode: str) -> dict[str, Any]:
    return {
        "type": "integer",
        "default": default,
        "min": least,
        "max": most,
        "ui_hint": "number",
        "visible_when": {"chunking_mode": [mode]},
    }
