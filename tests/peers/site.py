"""A web site behind a login: Django with its own login view, sessions and protection against forged requests.
Prints its port, then answers until it is ended.

PEER_AGE: seconds a session lives. PEER_CYCLE: each request gets a new session key, and the old one is gone.
PEER_CLEAR: after so many requests all sessions are thrown away.
"""

import json
import os
import socketserver
import sys
import wsgiref.simple_server

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PEER_FOLDER"] + "/site.sqlite"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "registration/login.html": "{{ form.non_field_errors.as_text }}",
        })]},
    }],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    LOGIN_URL="/login/",
    LOGIN_REDIRECT_URL="/home",
    SESSION_COOKIE_AGE=int(os.environ.get("PEER_AGE", 600)),
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    LOGGING_CONFIG=None,
)
django.setup()

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

CYCLE = "PEER_CYCLE" in os.environ
CLEAR = int(os.environ.get("PEER_CLEAR", 0))
SEEN = {"logins": 0, "refused": 0, "answered": 0, "keys": []}


def logged_in(**_):
    SEEN["logins"] += 1


user_logged_in.connect(logged_in)


@login_required
def behind(request):
    SEEN["answered"] += 1
    SEEN["keys"].append(request.session.session_key)
    if CYCLE:
        request.session.cycle_key()
    if CLEAR and SEEN["answered"] % CLEAR == 0:
        Session.objects.all().delete()
    if request.path == "/records":
        return JsonResponse([{"id": number} for number in range(20)], safe=False)
    return JsonResponse({}, status=201)


@csrf_exempt
def api(request):
    if not request.user.is_authenticated:
        SEEN["refused"] += 1
    return behind(request)


def seen(_request):
    return JsonResponse({**SEEN, "keys": len(set(SEEN["keys"]))})


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("records", api),
    path("taken", api),
    path("seen", seen),
]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0)
User.objects.create_user("jürgen", password=os.environ["PEER_SECRET"])
server = wsgiref.simple_server.make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
print(server.server_address[1], flush=True)
sys.stdout.close()
server.serve_forever()
