"""The WSGI entry point that the web server loads."""

import os

from django.core.wsgi import get_wsgi_application

from plugins.process import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kbproject.settings")

if "KB_SUPERVISOR_PID" in os.environ:  # a worker process of the web server that `up` started
    die_with_parent(os.getppid())

application = get_wsgi_application()
