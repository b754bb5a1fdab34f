"""Numbers as people write them, in searches and addresses."""


def whole_number(text: str) -> int | None:
    """The id in *text*, written as ``17`` or ``#17``; None when it is none that the database could hold."""
    digits = text.strip().removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
