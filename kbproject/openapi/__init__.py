"""The API's description in OpenAPI 3.1.

``operations`` says what each action takes and answers, ``inspector`` makes the schema of it, and ``pages`` shows that.
``make schema`` writes ``docs/openapi.json``.
"""
