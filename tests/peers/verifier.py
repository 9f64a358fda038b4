"""Judges signed requests with well-known libraries: aiohttp, oauthlib, PyJWT, botocore, zeep, hashlib and hmac. Prints its port, then answers until
it is ended."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import re
import sys
import threading
import types
import urllib.parse

import aiohttp.client_middleware_digest_auth as aiohttp_digest
import botocore.auth
import jwt
import zeep.wsse.username
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from yarl import URL
from zeep.wsse.username import UsernameToken

SECRET = os.environ["PEER_SECRET"]
ONE_NONCE = threading.Lock()
PUBLIC = {name: open(os.environ["PEER_" + name]).read() for name in ("RSA", "EC", "EC384")}


class Validator(RequestValidator):
    enforce_ssl = False
    client_key_length = (1, 30)
    nonce_length = (20, 40)
    access_token_length = (1, 30)
    used = set()

    @property
    def allowed_signature_methods(self):
        return ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "RSA-SHA512", "PLAINTEXT")

    dummy_client = "dummy"

    def validate_client_key(self, client_key, request):
        return client_key == "app"

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, **_):
        fresh = nonce not in self.used
        self.used.add(nonce)
        return fresh

    def get_client_secret(self, client_key, request):
        return SECRET

    def get_access_token_secret(self, client_key, token, request):
        return SECRET

    def get_rsa_key(self, client_key, request):
        return PUBLIC["RSA"]


OAUTH1 = SignatureOnlyEndpoint(Validator())


def oauth1(handler, body, headers, url):
    good, request = OAUTH1.validate_request(url, handler.command, body or None, headers)
    return good or f"oauthlib refuses it: {request and request.validator_log}"


def bearer(handler, body, headers, url):
    algorithm = url.split("?")[0].split("/")[-2]
    key = {"H": SECRET, "R": PUBLIC["RSA"], "P": PUBLIC["RSA"], "E": PUBLIC["EC384" if algorithm == "ES384" else "EC"]}
    claims = jwt.decode(
        headers["authorization"].removeprefix("Bearer "), key[algorithm[0]], algorithms=[algorithm], issuer="me",
        options={"require": ["exp", "iat"]},
    )
    return claims["list"] == [1, "two"] or f"other claims: {claims}"


SERVICES = {"search-x.eu-west-1.es.amazonaws.com": "es", "bucket.s3.dualstack.eu-west-1.amazonaws.com": "s3"}


def sigv4(handler, body, headers, url):
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKID/(\d+)/eu-west-1/(\S+)/aws4_request, SignedHeaders=(\S+), Signature=(\w+)",
        headers["authorization"],
    )
    day, service, names, signature = found.groups()
    wanted = SERVICES.get(headers["host"], service)
    if service != wanted:
        return f"the service is {wanted}, not {service}"
    kept = {name: headers[name] for name in names.split(";") if not name.startswith("x-amz-") and name != "host"}
    at = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    skew = abs((datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - at).total_seconds())
    botocore.auth.get_current_datetime = lambda *_, **__: at
    request = AWSRequest(method=handler.command, url=url, headers=kept, data=body)
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials("AKID", SECRET, "session+token=="), service, "eu-west-1").add_auth(request)
    theirs = request.headers["Authorization"]
    return (skew < 60 and theirs == headers["authorization"]) or f"botocore signs {theirs}, not {headers['authorization']}"


def wsse(handler, body, headers, url):
    fields = dict(re.findall(r'(\w+)="([^"]*)"', headers["x-wsse"]))
    created = datetime.datetime.fromisoformat(fields["Created"])
    skew = abs((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds())
    token = UsernameToken("me", SECRET, use_digest=True, created=created, zulu_timestamp=True)
    with ONE_NONCE:  # the package draws the nonce itself: it draws the one that was sent
        zeep.wsse.username.os = types.SimpleNamespace(urandom=lambda _: base64.b64decode(fields["Nonce"], validate=True))
        theirs = [element.text for element in token._create_password_digest()]
    ours = [fields["PasswordDigest"], fields["Nonce"], fields["Created"]]
    return (skew < 60 and fields["Username"] == "me" and theirs == ours) or f"zeep makes {theirs}, not {ours}"


def made(handler, body, headers, url):
    """Fields made of the request, with what the standard library makes of it."""
    parts = urllib.parse.urlsplit(url)
    pieces = [piece for piece in parts.query.split("&") if piece.split("=")[0] not in ("sign", "access_token")]
    keyed = lambda text, name: hmac.new(SECRET.encode(), text.encode(), name)
    theirs = [
        keyed("&".join(sorted(pieces)), "sha1").hexdigest(),
        keyed("|".join([handler.command, parts.netloc, parts.path, parts.query, body.decode()]), "sha256").hexdigest(),
        base64.b64encode(keyed(url, "sha512").digest()).decode(),
        base64.b64encode(hashlib.sha384(body).digest()).decode(),
    ]
    sign = urllib.parse.parse_qs(parts.query)["sign"]
    ours = [*sign, headers["x-signature"], headers["x-uri-signature"], headers["x-digest"]]
    return theirs == ours or f"Python makes {theirs}, not {ours}"


class Whole(str):
    """Not cut: the client draws a shorter nonce of its own."""

    def __getitem__(self, _):
        return str(self)


def sha_512_256(data=b""):
    return hashlib.new("sha512_256", data)


# The one hash of RFC 7616 the package does not name.
aiohttp_digest.DigestFunctions.update({"SHA-512-256": sha_512_256, "SHA-512-256-SESS": sha_512_256})


def digest(handler, body, headers, url):
    """Asks for a digest of the algorithm and the quality that the path names, then has aiohttp make the same."""
    algorithm, qop = handler.path.split("/")[2:4]
    challenge = {"realm": 'a "realm"', "nonce": "7ypf/xlj9XXw", "opaque": "FQhe==", "algorithm": algorithm, "qop": qop}
    if "authorization" not in headers:
        quoted = {name: value.replace('"', '\\"') for name, value in challenge.items()}
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    fields = lambda text: {name: whole or bare for name, whole, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', text)}
    ours = fields(headers["authorization"])
    client = aiohttp_digest.DigestAuthMiddleware("me", SECRET)
    client._challenge = challenge
    client._last_nonce_bytes, client._nonce_count = challenge["nonce"].encode(), int(ours["nc"], 16) - 1
    with ONE_NONCE:  # the package draws the nonce itself: it draws the one that was sent
        drawn = types.SimpleNamespace(hexdigest=lambda: Whole(ours["cnonce"]))
        aiohttp_digest.hashlib = types.SimpleNamespace(sha1=lambda _: drawn)
        theirs = fields(asyncio.run(client._encode(handler.command, URL(url, encoded=True), body)))
    return theirs == ours or f"aiohttp makes {theirs}, not {ours}"


JUDGES = {"digest": digest, "made": made, "oauth1": oauth1, "jwt": bearer, "sigv4": sigv4, "wsse": wsse}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def judge(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value.encode("latin-1").decode() for name, value in self.headers.items()}
        # To a proxy the whole address is written.
        url = self.path if "://" in self.path else f"http://{self.headers['host']}{self.path}"
        try:
            verdict = JUDGES[urllib.parse.urlsplit(url).path.split("/")[1]](self, body, headers, url)
        except Exception as error:  # whatever a library throws is a refusal
            verdict = f"{type(error).__name__}: {error}"
        good = verdict is True
        asks = not good and str(verdict).startswith("Digest ")
        answer = json.dumps([{"id": 1, "a b": "x&y"}] if good else {"error": str(verdict)}).encode()
        self.send_response(200 if good else 401 if asks else 403)
        if asks:
            self.send_header("www-authenticate", verdict)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = judge

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
sys.stdout.close()
server.serve_forever()
