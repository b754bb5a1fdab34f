"""What can go wrong with collections, as errors that people can act on."""

from plugins.base import PluginError


class CollectionError(PluginError):
    """A request about a collection that cannot be met; ``code`` says which rule it broke."""


class NameTaken(CollectionError):
    """The owner has a live collection of that name (409 on the wire)."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "name_taken",
            f"You already have a collection named {name!r}.",
            hint="Choose another name, or delete the other collection first.",
        )


class CollectionGone(CollectionError):
    """The collection was deleted while somebody added to it (404 on the wire)."""

    def __init__(self, collection_id: int) -> None:
        super().__init__("collection_gone", f"Collection {collection_id} was deleted meanwhile.")


class InvalidName(CollectionError):
    def __init__(self, message: str) -> None:
        super().__init__("invalid_name", message, hint="Names have 1 to 255 characters.")


class InvalidVisibility(CollectionError):
    def __init__(self, visibility: object) -> None:
        super().__init__(
            "invalid_visibility",
            f"{visibility!r} is not a visibility.",
            hint="Use 'private' or 'public'.",
        )


class InvalidEmbeddings(CollectionError):
    """An embedding choice that no embedder can be made from."""


class InvalidDocument(CollectionError):
    """One of the documents sent is not usable; ``context["index"]`` is its 0-based place in the list."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(
            "invalid_document",
            f"documents[{index}]: {problem}",
            hint='Send objects such as {"text": "...", "metadata": {"page": 1}}.',
            context={"index": index},
        )


class DocumentLost(CollectionError):
    """The document was withdrawn, or another run took it over: whoever held it must stop and write nothing more."""

    def __init__(self, document_id: int) -> None:
        super().__init__("document_lost", f"Document {document_id} no longer belongs to this run.")


class SecretUnreadable(CollectionError):
    """A stored secret that none of the server's keys opens."""

    def __init__(self) -> None:
        super().__init__(
            "secret_unreadable",
            "The stored API key cannot be decrypted with this server's secret key.",
            hint="Set the API key again, or ask the operator for the former secret key (SECRET_KEY_FALLBACKS).",
        )
