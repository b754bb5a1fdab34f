"""Ingestion over HTTP: taking sources in, watching their jobs, their files, and what the server says of itself."""
