"""The ASGI entry point, for those who bring a server of their own."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kbproject.settings")

application = get_asgi_application()
