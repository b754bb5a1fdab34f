"""Links to stored files."""

from urllib.parse import quote


def static_path(owner: str, collection: str, name: str) -> str:
    """The root-relative path of a stored file, unsigned: ``/static/{owner}/{collection}/{name}``, quoted."""
    return f"/static/{quote(owner, safe='')}/{quote(collection, safe='')}/{quote(name, safe='')}"
