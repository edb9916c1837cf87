"""Serves django-chat-ui on loopback, in the working directory.

    python chat_ui.py PORT [USER PASSWORD]…
"""

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

settings.configure(
    SECRET_KEY="tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django_chat_ui",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path("chat.sqlite3").absolute(),
            # Its threads write at the same time.
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    # Made for tests, so as cheap as can be.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

urlpatterns = [path("", include("django_chat_ui.urls"))]


def main():
    from django.contrib.auth import get_user_model

    port, *accounts = sys.argv[1:]
    call_command("migrate", verbosity=0)
    for user, password in zip(accounts[::2], accounts[1::2], strict=True):
        get_user_model().objects.create_user(user, password=password)
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)


if __name__ == "__main__":
    main()
