"""A SOAP service made with spyne: the operations of the playground's, checked against a schema. Prints its port, writes
each customer it takes as a line of JSON to the file named by PEER_LEDGER, and answers until it is ended."""

import json
import logging
import os
import wsgiref.simple_server

from spyne import Application, Boolean, ComplexModel, Fault, Integer, Service, Unicode, rpc
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

TNS = "urn:playground"
SECEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
MADE = 120

logging.disable(logging.CRITICAL)


class UsernameToken(ComplexModel):
    __namespace__ = SECEXT
    Username = Unicode
    Password = Unicode


class Security(ComplexModel):
    __namespace__ = SECEXT
    UsernameToken = UsernameToken


class Address(ComplexModel):
    __namespace__ = TNS
    city = Unicode
    country = Unicode


class Consents(ComplexModel):
    __namespace__ = TNS
    newsletter = Boolean


class Listed(ComplexModel):
    __namespace__ = TNS
    __type_name__ = "Customer"
    id = Integer
    first_name = Unicode
    last_name = Unicode
    email = Unicode
    address = Address
    consents = Consents


class Given(ComplexModel):
    __namespace__ = TNS
    ext_id = Integer(min_occurs=1)
    name = Unicode(min_occurs=1)
    email = Unicode(min_occurs=1)
    country = Unicode(min_occurs=1, max_len=2)
    newsletter = Boolean(min_occurs=1)


class Page(ComplexModel):
    __namespace__ = TNS
    Customer = Listed.customize(max_occurs="unbounded")


def guard(ctx):
    token = ctx.in_header and ctx.in_header.UsernameToken
    if not token or (token.Username, token.Password) != ("flow", os.environ["SOAP_PASSWORD"]):
        raise Fault("Client.Authentication", "who are you?")


def customer(number):
    return Listed(
        id=number, first_name=f"<Ann {number}>", last_name="O'Brien & \"Söhne\" ]]>", email=f"c{number}@example.test",
        address=Address(city="Köln", country="DE"), consents=Consents(newsletter=number % 2 == 0),
    )


class Customers(Service):
    __in_header__ = Security

    @rpc(Integer, Integer, _returns=Page, _in_variable_names={"page": "Page", "size": "Size"})
    def ListCustomers(ctx, page, size):
        guard(ctx)
        first = (page - 1) * size + 1
        return Page(Customer=[customer(number) for number in range(first, min(first + size, MADE + 1))])

    @rpc(Given, _returns=Unicode, _in_variable_names={"given": "Customer"})
    def PutCustomer(ctx, given):
        guard(ctx)
        if given.ext_id == 13:
            raise Fault("Client", "nobody is number 13")
        with open(os.environ["PEER_LEDGER"], "a", encoding="utf-8") as ledger:
            line = {name: getattr(given, name) for name in ("ext_id", "name", "email", "country", "newsletter")}
            ledger.write(json.dumps(line) + "\n")
        return f"E-{given.ext_id}"


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(wsgiref.simple_server.WSGIServer):
    # It answers one call at a time: the others wait in line instead of being dropped.
    request_queue_size = 128


APP = Application([Customers], tns=TNS, in_protocol=Soap11(validator="lxml"), out_protocol=Soap11())
SERVER = wsgiref.simple_server.make_server("127.0.0.1", 0, WsgiApplication(APP), Server, handler_class=Quiet)
print(SERVER.server_port, flush=True)
SERVER.serve_forever()
