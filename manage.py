#!/usr/bin/env python
"""Django's command line for the KB Server."""

import os
import sys

WRONG_SETTING = 2  # critical, for monitoring that runs doctor


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kbproject.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit("Django is not installed here: run 'make setup' first.") from error
    from django.core.exceptions import ImproperlyConfigured

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # a setting, which the message names
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(WRONG_SETTING) from error


if __name__ == "__main__":
    main()
