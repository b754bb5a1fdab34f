"""Settings of the KB Server: one file, read once. Every variable is described in docs/settings.md."""

from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from kbproject import env

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent

# -- Where things live ---------------------------------------------------------------------------

KB_DATA_DIR = Path(env.text("KB_DATA_DIR", "data"))
if not KB_DATA_DIR.is_absolute():
    KB_DATA_DIR = BASE_DIR / KB_DATA_DIR
KB_RUN_DIR = KB_DATA_DIR / "run"

# -- Who may come in -----------------------------------------------------------------------------

SECRET_KEY = env.text("KB_SECRET_KEY") or env.kept_secret(KB_DATA_DIR / "secret.key", 48)
LAMB_API_KEY = env.text("LAMB_API_KEY") or env.kept_secret(KB_DATA_DIR / "api.token")
KB_METRICS_PUBLIC = env.flag("KB_METRICS_PUBLIC")
KB_METRICS_TOKEN = env.text("KB_METRICS_TOKEN")  # opens /metrics and nothing else
DEBUG = env.flag("KB_DEBUG")
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 9090, low=1, high=65535)
HOME_URL = env.text("HOME_URL", f"http://localhost:{PORT}").rstrip("/")
if urlsplit(HOME_URL).scheme not in {"http", "https"} or not urlsplit(HOME_URL).netloc:
    raise ImproperlyConfigured(f"HOME_URL must be an address such as https://kb.example.org, not {HOME_URL!r}.")
# Container names with underscores are legal for LAMB and refused by Django, so the Host header is never
# trusted for anything: every absolute link is made from HOME_URL.
ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = [HOME_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HOME_URL.startswith("https://")
SESSION_COOKIE_NAME = "kb_session"
CSRF_COOKIE_NAME = "kb_csrf"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
LOGIN_URL = "ui:login"
CSRF_FAILURE_VIEW = "ingestion.ui.pages.csrf_failure"
KB_IDEMPOTENCY_HOURS = env.integer("KB_IDEMPOTENCY_HOURS", 24, low=1)  # how long an Idempotency-Key is known
KB_LINK_TTL = env.integer("KB_LINK_TTL", 0)  # seconds a signed link lives; 0: as long as its file

# -- What a request may bring ---------------------------------------------------------------------

KB_MAX_UPLOAD_MB = env.integer("KB_MAX_UPLOAD_MB", 512, low=1)
KB_MAX_JSON_MB = env.integer("KB_MAX_JSON_MB", 64, low=1)
DATA_UPLOAD_MAX_MEMORY_SIZE = KB_MAX_JSON_MB * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

# -- The house ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "collections_app",
    "ingestion",
]
MIDDLEWARE = [
    "collections_app.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "collections_app.http.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "kbproject.urls"
WSGI_APPLICATION = "kbproject.wsgi.application"
APPEND_SLASH = False  # LAMB follows no redirects: every address is served as it is written
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTHENTICATION_BACKENDS = ["collections_app.logins.PatientBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# -- Database -------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE_URL = env.text("DATABASE_URL")
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=None)}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": KB_DATA_DIR / "kb.sqlite3",
            # The ORM broker closes "old" connections on each operation; without None it reopens SQLite each time.
            "CONN_MAX_AGE": None,
            "TEST": {"NAME": KB_DATA_DIR / "test.sqlite3"},  # a file, since locks and WAL are part of what is tested
            "OPTIONS": {
                "timeout": 20,
                # A read that becomes a write fails at once in WAL mode, whatever the timeout; IMMEDIATE waits instead.
                "transaction_mode": "IMMEDIATE",
                # FULL: at NORMAL a power loss may undo an upload that was acknowledged.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
                " PRAGMA journal_size_limit=67108864;",
            },
        }
    }

# -- Files ----------------------------------------------------------------------------------------

STATIC_URL = "/assets/"  # /static/ belongs to the wire contract: uploads and what was made from them
STATIC_ROOT = KB_RUN_DIR / "static"  # stays empty: the finders serve what the packages and static/ hold
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic step between clone and run
WHITENOISE_MAX_AGE = 3600
MEDIA_ROOT = KB_DATA_DIR / "files"
FILE_UPLOAD_PERMISSIONS = 0o640
FILE_UPLOAD_HANDLERS = ["ingestion.storage.StreamToStorage"]
KB_MIN_FREE_MB = env.integer("KB_MIN_FREE_MB", 256)

# -- Language and time ----------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español")]  # of the pages; the API speaks English
LANGUAGE_COOKIE_NAME = "kb_language"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# -- HTTP API -------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "collections_app.http.BearerAuthentication",
        "collections_app.http.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["collections_app.http.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "kbproject.openapi.inspector.Schema",
    "EXCEPTION_HANDLER": "collections_app.http.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "KB Server",
    "VERSION": VERSION,
    "DESCRIPTION": "Turns documents into searchable collections, and shows every step.\n\n"
    'Errors are `{"detail": "a sentence"}`; a 422 names each wrong value instead. Moments are UTC with a `Z`. '
    "Numbers in queries, forms and bodies may come as text. Every address shows a page in a browser, once somebody "
    "is logged in at `/admin/`.",
    "TAGS": [
        {"name": "Collections", "description": "Sets of documents that share an embedding model"},
        {"name": "Intake", "description": "Sources and chunks in; each source becomes a job"},
        {"name": "Jobs", "description": "Watch, retry and cancel what a collection ingests"},
        {"name": "All jobs", "description": "The same across collections, many at once"},
        {"name": "Questions", "description": "Passages out"},
        {"name": "Files", "description": "What was fed, and its text"},
        {"name": "Server", "description": "What the server says of itself"},
    ],
    "PREPROCESSING_HOOKS": ["kbproject.openapi.inspector.in_order"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "kbproject.openapi.inspector.with_stored_files",
    ],
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "ingestion.models.FileStatus",
        "Deleted": ["deleted"],
        "Alive": ["ok"],
        "ReadinessStatus": ["ready", "degraded", "not_ready"],
    },
    "ENUM_SUFFIX": "",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "COMPONENT_SPLIT_PATCH": False,
    "SORT_OPERATIONS": False,  # the hook above does
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
INGESTION_JOB_REFRESH_RATE = env.integer("INGESTION_JOB_REFRESH_RATE", 3, low=1)
KB_WEB_PROCESSES = env.integer("KB_WEB_PROCESSES", 2, low=1)
KB_WEB_THREADS = env.integer("KB_WEB_THREADS", 4, low=1)  # of each process; see docs/performance.md

# -- Embeddings -----------------------------------------------------------------------------------

EMBEDDINGS_VENDOR = env.choice("EMBEDDINGS_VENDOR", "local", {"local", "openai", "ollama"})
EMBEDDINGS_MODEL = env.text("EMBEDDINGS_MODEL")
EMBEDDINGS_ENDPOINT = env.text("EMBEDDINGS_ENDPOINT")
EMBEDDINGS_APIKEY = env.text("EMBEDDINGS_APIKEY")
KB_CONFIG_PATH = Path(env.text("KB_CONFIG_PATH", str(KB_DATA_DIR / "config.json")))
KB_VECTOR_CACHE_MB = env.integer("KB_VECTOR_CACHE_MB", 256, low=16)

# -- The job engine -------------------------------------------------------------------------------

MAX_CONCURRENT_INGESTION_TASKS = env.integer("MAX_CONCURRENT_INGESTION_TASKS", 3, low=1, high=64)
INGESTION_TASK_TIMEOUT_SECONDS = env.number("INGESTION_TASK_TIMEOUT_SECONDS", 360, low=1)  # without progress
KB_JOB_MAX_SECONDS = env.number("KB_JOB_MAX_SECONDS", 6 * 3600, low=1)
KB_LEASE_SECONDS = env.number("KB_LEASE_SECONDS", 30, low=1)
KB_HEARTBEAT_SECONDS = env.number("KB_HEARTBEAT_SECONDS", 5, low=0.1)
if KB_LEASE_SECONDS < 2 * KB_HEARTBEAT_SECONDS:
    raise ImproperlyConfigured(
        "KB_LEASE_SECONDS must be at least twice KB_HEARTBEAT_SECONDS, or healthy jobs are lost."
    )
KB_RESCUE_SECONDS = env.number("KB_RESCUE_SECONDS", 5, low=0.1)
KB_DRAIN_SECONDS = env.number("KB_DRAIN_SECONDS", 10)
KB_MAX_LOST_LEASES = env.integer("KB_MAX_LOST_LEASES", 3, low=1)
KB_MAX_TRANSIENT_FAILURES = env.integer("KB_MAX_TRANSIENT_FAILURES", 5)
KB_RETRY_BASE_SECONDS = env.number("KB_RETRY_BASE_SECONDS", 5, low=0.01)
KB_RETRY_PATIENCE_SECONDS = env.number("KB_RETRY_PATIENCE_SECONDS", 300)  # how long automatic tries go on
KB_PLUGIN_MODULES = env.items("KB_PLUGIN_MODULES")
KB_PLUGIN_MODES = env.prefixed("PLUGIN_")  # {"SIMPLE_INGEST": "SIMPLIFIED"}; see plugins.catalogue
KB_PLUGIN_MEMORY_MB = env.integer("KB_PLUGIN_MEMORY_MB", 2048, low=256)
KB_PLUGIN_CPU_SECONDS = env.number("KB_PLUGIN_CPU_SECONDS", 3600, low=1)
KB_FETCH_ALLOW_PRIVATE = env.networks("KB_FETCH_ALLOW_PRIVATE")

REDIS_URL = env.text("REDIS_URL")
Q_CLUSTER = {
    "name": "kb",
    "workers": MAX_CONCURRENT_INGESTION_TASKS,
    # A bell is a wake-up and carries nothing: losing one or hearing it twice does no harm (the rescue rings
    # again for jobs that wait), so its own timeouts and retries are set out of the way.
    "timeout": 7 * 24 * 3600,
    "retry": 8 * 24 * 3600,
    "ack_failures": True,
    "save_limit": -1,
    "scheduler": False,
    "guard_cycle": 0.5,
    "poll": 0.05,
    "queue_limit": MAX_CONCURRENT_INGESTION_TASKS,
    "log_level": "WARNING",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}

# -- Logs -----------------------------------------------------------------------------------------

KB_LOG_LEVEL = env.choice("KB_LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARNING", "ERROR"})
KB_LOG_FORMAT = env.choice("KB_LOG_FORMAT", "line", {"line", "json"})
KB_ACCESS_LOG = env.choice("KB_ACCESS_LOG", "changes", {"all", "changes", "none"})
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "kbproject.logs.LineFormatter"},
        "json": {"()": "kbproject.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": KB_LOG_FORMAT},
        "plugins": {"()": "kbproject.logs.PluginLog", "formatter": KB_LOG_FORMAT},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "kb": {"level": KB_LOG_LEVEL},
        "kb.plugins": {"handlers": ["plugins"], "level": "INFO", "propagate": False},
        "django.request": {"level": "ERROR"},
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "_granian": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
