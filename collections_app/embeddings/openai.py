"""Any server that speaks OpenAI's ``/v1/embeddings``."""

from typing import Any, ClassVar

from collections_app.embeddings.http import HttpEmbedder, Patience


class OpenAIEmbedder(HttpEmbedder):
    vendor = "openai"
    request_texts = 64
    in_flight = 4
    batch_size = 256  # four requests of 64
    patience: ClassVar[Patience] = Patience()

    def _request(self, texts: list[str]) -> dict[str, Any]:
        # Some clients' default is base64, which not every compatible server knows.
        return {"model": self.model, "input": texts, "encoding_format": "float"}

    def _rows(self, body: Any, count: int) -> list[Any]:
        """Ordered by ``index``, since servers that work in parallel may answer in another order."""
        data = body["data"]
        if len(data) != count:
            raise ValueError(f"{len(data)} vectors for {count} texts")
        indexes = [item.get("index", place) for place, item in enumerate(data)]
        if sorted(indexes) != list(range(count)):
            raise ValueError("vectors whose indexes do not match the texts")
        rows: list[Any] = [None] * count
        for index, item in zip(indexes, data, strict=True):
            rows[index] = item["embedding"]
        return rows
