"""Ollama's own ``/api/embed``."""

from typing import Any, ClassVar

from collections_app.embeddings.http import HttpEmbedder, Patience


class OllamaEmbedder(HttpEmbedder):
    vendor = "ollama"
    request_texts = 32
    in_flight = 2  # it works on few at a time; more only wait inside it
    batch_size = 64
    # A cold start loads the model into memory before the first answer.
    patience: ClassVar[Patience] = Patience(read_seconds=300.0, total_seconds=300.0)

    def _request(self, texts: list[str]) -> dict[str, Any]:
        return {"model": self.model, "input": texts}

    def _rows(self, body: Any, count: int) -> list[Any]:
        rows: list[Any] = body["embeddings"]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} vectors for {count} texts")
        return rows

    def _not_found_hint(self) -> str:
        return f"Have `ollama pull {self.model}` run there, and check the endpoint (Ollama 0.3.4 or newer)."
