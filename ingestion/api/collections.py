"""What collections can do once their jobs are known: be deleted."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from collections_app import api
from collections_app.api import live_collection
from collections_app.endpoint import checked
from collections_app.http import actor
from collections_app.serializers import DocumentsSerializer
from ingestion import idempotency, services
from ingestion.api.base import DELETE


class CollectionViewSet(api.CollectionViewSet):
    """Sets of documents that share an embedding model."""

    rights: ClassVar[Mapping[str, Sequence[str]]] = {"destroy": (DELETE,)}

    def add_documents(self, request: Request, collection_id: int) -> Response:
        """Add ready-made chunks. With an ``Idempotency-Key``, the same request again adds nothing."""
        documents = checked(DocumentsSerializer, request.data)["documents"]
        collection = live_collection(collection_id)
        once = idempotency.once(request, "documents", collection_id, documents)
        return idempotency.respond(once, lambda remember: api.add_documents(collection, documents, remember))

    def destroy(self, request: Request, collection_id: int) -> Response:
        """Stop the collection's jobs and remove all of it. Rows and files go afterwards; nothing is found at once."""
        collection = live_collection(collection_id)
        deletion = services.delete_collection(collection, by=actor(request))
        return Response(
            {
                "id": collection_id,
                "name": collection.name,
                "deleted_embeddings": deletion.chunks,
                "chroma_collection": None,
                "removed_files": deletion.files,
                "status": "deleted",
            }
        )

    def get_extra_action_url_map(self) -> dict[str, str]:
        """Links from a collection's page to what can be done with it."""
        if self.action != "retrieve":
            return {}
        return {
            title: reverse(name, kwargs=self.kwargs, request=self.request)
            for title, name in (
                ("Jobs", "jobs"),
                ("Ingestion status", "ingestion-status"),
                ("Files", "files"),
                ("Upload", "upload"),
                ("Add documents", "documents"),
                ("Ask", "query"),
            )
        }
