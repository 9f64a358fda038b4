"""Writes rows with Python's csv, gzip, zipfile, base64, email and urllib3, and judges what comes back in each media type with csv,
urllib.parse, email and json. Prints its port, then answers until it is ended."""

import base64
import csv
import email.mime.multipart
import email.mime.nonmultipart
import email.parser
import email.policy
import gzip
import http.server
import io
import json
import quopri
import random
import sys
import threading
import urllib.parse
import zipfile

import urllib3

NAMES = ["id", 'na"me', "a b;c", "größe"]
PIECES = ['"', '""', ",", ";", "\t", "\n", "\r\n", "x", "1E9", "007", "=1+1", " ", "é", "€", "&", "=", "%", "+", "[0]", "--"]
drawn = random.Random(7)
ROWS = [
    [str(number)] + ["".join(drawn.choice(PIECES) for _ in range(drawn.randrange(7))) for _ in NAMES[1:]]
    for number in range(1, 401)
]
SEEN = {"csv": 0, "form": 0, "multipart": 0, "ndjson": 0, "wrong": []}
LOCK = threading.Lock()


def written(asked):
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if asked.get("all") else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=asked.get("delimiter", ","), quoting=quoting)
    if not asked.get("bare"):
        writer.writerow(NAMES)
    writer.writerows(ROWS)
    body = text.getvalue().encode(asked.get("encoding", "utf-8"))
    for layer in asked.get("layers", "").split(",") if asked.get("layers") else []:
        if layer == "gzip":
            body = gzip.compress(body)
        elif layer == "base64":
            body = base64.encodebytes(body)
        else:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("folder/", "")
                archive.writestr("folder/rows.csv", body)
                archive.writestr("readme.txt", "not this one")
            body = packed.getvalue()
    return body


def in_parts(asked):
    """All rows as parts of JSON, in turn as they are, in base64 and quoted-printable; or one row as a form."""
    if "row" in asked:
        row = ROWS[int(asked["row"]) - 1]
        fields = list(zip(NAMES, row, strict=True))
        if asked["parts"] == "files":
            fields[2] = (NAMES[2], ("n\u00e4me.txt", row[2], "text/plain; charset=utf-8"))
        return urllib3.encode_multipart_formdata(fields)
    whole = email.mime.multipart.MIMEMultipart("mixed", policy=email.policy.HTTP)
    for number, row in enumerate(ROWS):
        part = email.mime.nonmultipart.MIMENonMultipart("application", "json", policy=email.policy.HTTP)
        text = json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=number % 2 == 0).encode("utf-8")
        part.set_payload(text.decode("ascii") if number % 2 == 0 else base64.encodebytes(text).decode("ascii"))
        if number % 2:
            part["Content-Transfer-Encoding"] = "base64"
        elif number % 4 == 0:
            part.set_payload(quopri.encodestring(text).decode("ascii"))
            part["Content-Transfer-Encoding"] = "quoted-printable"
        whole.attach(part)
    head, _, body = whole.as_bytes().partition(b"\r\n\r\n")
    return body, email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head)["content-type"]


def judged(kind, headers, body, names):
    """The rows in a body, each as names and values in order."""
    if kind == "csv":
        first, *rows = csv.reader(io.StringIO(body.decode("utf-8"), newline=""), delimiter=";", strict=True)
        return [list(zip(first, row, strict=True)) for row in rows]
    if kind == "form":
        return [urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)]
    if kind == "ndjson":
        assert body.endswith(b"\n")
        return [list(json.loads(line).items()) for line in body.decode("utf-8").split("\n")[:-1]]
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    whole = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    pairs = []
    for part in whole.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True).decode("utf-8")
        if part.get_filename():
            assert (part.get_filename(), part.get_content_type()) == ("rows.txt", "text/plain")
        pairs.append((urllib.parse.unquote(name), content))
    return [pairs]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/seen":
            return self.answer(200, json.dumps(SEEN).encode())
        asked = dict(urllib.parse.parse_qsl(url.query))
        if int(asked.get("row", 1)) > len(ROWS):
            return self.answer(404, b"{}")
        if asked.get("parts"):
            return self.answer(200, *in_parts(asked))
        kind = "application/octet-stream" if asked.get("layers") else "text/csv"
        if asked.get("said"):
            kind += "; charset=" + asked["said"]
        self.answer(200, written(asked), kind)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.path.strip("/")
        names = NAMES
        try:
            rows = judged(kind, self.headers, body, names)
            for row in rows:
                number = int(row[0][1])
                expected = ROWS[number - 1]
                assert [value for _, value in row] == expected, (row, expected)
                assert [name for name, _ in row] in (NAMES, [f"column_{n}" for n in range(1, 5)]), row
        except Exception as error:
            with LOCK:
                SEEN["wrong"].append(f"{kind}: {error!r}"[:500])
            return self.answer(422, b"{}")
        with LOCK:
            SEEN[kind] += len(rows)
        self.answer(200, b"{}")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
sys.stdout.close()
server.serve_forever()
