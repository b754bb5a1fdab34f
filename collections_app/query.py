"""Answers one question from one collection, through the query plugin that was asked for."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from collections_app import catalogue, links, services
from collections_app.models import Collection
from plugins import parameters, registry
from plugins.base import PluginError, QueryPlugin
from plugins.catalogue import is_enabled, mode_of

logger = logging.getLogger("kb.query")

OWN_NUMBERS = frozenset({"chunk_pk", "document_pk"})  # of rows, for plugins to tell chunks apart


class UnknownQueryPlugin(Exception):
    """No query plugin of this name is installed, or it is disabled."""


class InvalidQuestion(Exception):
    """The question or its parameters cannot be used; the message is a sentence."""


class QueryFailed(Exception):
    """A query plugin broke; the message is a sentence."""


def answer(
    collection: Collection, text: str, plugin_name: str, given: Mapping[str, Any], plugin_params: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """``[{"similarity": float, "data": str, "metadata": dict}]``, best first, links signed; plugins may add keys.

    :param given: ``top_k`` and ``threshold`` of the request; *plugin_params* win over them, unknown ones are ignored
    :raises UnknownQueryPlugin, InvalidQuestion, QueryFailed, PluginError:
    """
    plugin = query_plugin(plugin_name)
    if not text.strip():
        raise InvalidQuestion("The question is empty.")
    specs = plugin.get_parameters()
    wanted = {name: value for name, value in {**given, **plugin_params}.items() if name in specs}
    clean, errors = parameters.validate(specs, wanted, mode_of(plugin_name, settings.KB_PLUGIN_MODES))
    if errors:
        raise InvalidQuestion(" ".join(error.message for error in errors))
    return [answered(row) for row in ask(plugin, collection, text, clean)]


def answered(row: Mapping[str, Any]) -> dict[str, Any]:
    """*row* as it is sent: links signed, without this server's own numbers."""
    sent = {key: value for key, value in row.items() if key not in OWN_NUMBERS}
    return {**sent, "metadata": links.sign_metadata(row["metadata"])}


def ask(plugin: QueryPlugin, collection: Collection, text: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plugin's rows.

    :raises QueryFailed: the plugin broke; what the search itself raises is passed on
    """
    ways = {"search": partial(services.search, collection), "search_text": partial(services.search_text, collection)}
    try:
        return plugin.query(collection.pk, text, **ways, **params)
    except (PluginError, DatabaseError):
        raise
    except Exception as error:
        logger.exception("Query plugin %s failed", plugin.name)
        raise QueryFailed(
            f"The query plugin {plugin.name} failed. Ask again with simple_query, or tell the operator."
        ) from error


def query_plugin(name: str) -> QueryPlugin:
    """:raises UnknownQueryPlugin:"""
    info = catalogue.current().query.get(name)
    if info is None or not is_enabled(name, settings.KB_PLUGIN_MODES):
        raise UnknownQueryPlugin(f"There is no query plugin named {name!r}.")
    plugin = registry.query_plugin(name)
    if plugin is None:
        registry.load(info.module)
        plugin = registry.query_plugin(name)
    if plugin is None:
        raise UnknownQueryPlugin(f"The query plugin {name!r} could not be loaded.")
    return plugin
