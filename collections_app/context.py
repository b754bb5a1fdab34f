"""What goes on here: the request or the run that a line of log belongs to, and the secrets that it must not show."""

import contextvars
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

NAMES = ("request_id", "job_id", "run_id", "attempt", "worker", "actor")

_facts: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("kb_facts", default={})  # noqa: B039
_secrets: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("kb_secrets", default=())


def facts() -> Mapping[str, Any]:
    """What is known, by some of ``NAMES``."""
    return _facts.get()


def secrets() -> tuple[str, ...]:
    """Secrets that texts written here could hold."""
    return _secrets.get()


@contextmanager
def about(*, secrets: Iterable[str] = (), **known: Any) -> Iterator[None]:
    """Inside, lines of log carry *known*, and *secrets* are taken out of them."""
    told, hidden = _facts.set({**_facts.get(), **known}), _secrets.set((*_secrets.get(), *secrets))
    try:
        yield
    finally:
        _facts.reset(told)
        _secrets.reset(hidden)


def note(**known: Any) -> None:
    """Add to what is known, until the present :func:`about` ends."""
    _facts.set({**_facts.get(), **known})


def carried(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """*function* for another thread, which would know nothing of this one's context. To be called once."""
    here = contextvars.copy_context()

    def run(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return here.run(function, *args, **kwargs)

    return run
