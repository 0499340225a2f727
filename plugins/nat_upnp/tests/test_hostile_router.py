"""What a router, or who says that he is one, may not do to us."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_nat_upnp import igd, xml_tree
from peerkit_nat_upnp.http_answer import MAX_BODY_BYTES, MAX_HEAD_BYTES, HttpAnswer
from peerkit_nat_upnp.trusted import router_url
from peerkit_nat_upnp.wanted_ports import wanted_ports

from peerkit import Address
from peerkit.errors import RemoteProtocolError
from peerkit.link import Gateway

ROUTER = "192.168.1.1"
BASE = f"http://{ROUTER}:5000/rootDesc.xml"
SERVICE = "<service><serviceType>{}</serviceType><controlURL>{}</controlURL></service>"


def description(*services: str) -> bytes:
    return f'<?xml version="1.0"?><root xmlns="u"><device>{"".join(services)}</device></root>'.encode()


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.7:80/ctl",
        "http://8.8.8.8/ctl",
        "http://127.0.0.1/ctl",
        "http://router.example/ctl",
        "https://192.168.1.1/ctl",
        "ftp://192.168.1.1/ctl",
        "file:///etc/passwd",
        "http://192.168.1.1@8.8.8.8/ctl",
        "http://user@192.168.1.1/ctl",
        "http://192.168.1.1:99999/ctl",
        "//8.8.8.8/ctl",
        "http://192.168.1.1/a\r\nHost: elsewhere",
        "http://192.168.1.1/" + "a" * 600,
        "",
    ],
)
def test_a_url_that_leads_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(RemoteProtocolError):
        router_url(url, ROUTER, BASE)


def test_a_relative_url_stays_on_the_router() -> None:
    url = router_url("/ctl/IPConn?x=1", ROUTER, BASE)
    assert (url.host, url.port, url.path) == (ROUTER, 5_000, "/ctl/IPConn?x=1")


def test_services_are_read_and_one_elsewhere_refuses_all() -> None:
    ours = SERVICE.format(igd.CONNECTIONS[1], "/ctl")
    found = igd.services(description(SERVICE.format("urn:other", "/x"), ours), ROUTER, BASE)
    assert list(found) == [igd.CONNECTIONS[1]]
    with pytest.raises(RemoteProtocolError, match="not its own"):
        igd.services(description(SERVICE.format(igd.CONNECTIONS[1], "http://10.0.0.9/ctl")), ROUTER, BASE)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>',
        b'<!DOCTYPE a SYSTEM "http://192.168.1.9/a.dtd"><a/>',
        b"<a>" * 1_000,
        b"<a>" + b"<b/>" * 10_000 + b"</a>",
        b"<a>" + b" " * 70_000 + b"</a>",
        b"<a>&undefined;</a>",
        b"",
        b"\xff\xfe\xfd",
    ],
)
def test_entities_depth_and_size_are_refused(document: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        xml_tree.parse(document)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    answer = HttpAnswer()
    for work in (
        lambda: xml_tree.parse(data),
        lambda: igd.location(data),
        lambda: igd.answer("GetExternalIPAddress", 200, data),
        lambda: answer.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data),
        lambda: answer.body(),
        lambda: HttpAnswer().receive_data(data),
    ):
        with contextlib.suppress(RemoteProtocolError):
            work()


def test_http_is_read_by_length_chunks_and_end() -> None:
    for wire in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ):
        answer = HttpAnswer()
        for at in range(len(wire)):
            answer.receive_data(wire[at : at + 1])
        answer.receive_end()
        assert (answer.status, answer.body()) == (200, b"hello")


@pytest.mark.parametrize(
    ("head", "most"),
    [(b"HTTP/1.1 200 OK\r\nX: ", MAX_HEAD_BYTES), (b"HTTP/1.1 200 OK\r\n\r\n", MAX_BODY_BYTES)],
)
def test_an_endless_answer_is_cut_off(head: bytes, most: int) -> None:
    answer = HttpAnswer()
    answer.receive_data(head + bytes(most - len(head)))
    with pytest.raises(RemoteProtocolError):
        answer.receive_data(bytes(len(head) + 1))


def test_a_length_that_is_too_long_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        HttpAnswer().receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")


@pytest.mark.parametrize("status", [301, 302, 307, 404])
def test_a_redirect_is_no_answer(status: int) -> None:
    with pytest.raises(RemoteProtocolError, match=str(status)):
        igd.answer("AddPortMapping", status, b"<a/>")


def test_a_refusal_tells_upnps_number() -> None:
    fault = b"<s:Envelope xmlns:s='x'><s:Fault><errorCode>718</errorCode></s:Fault></s:Envelope>"
    with pytest.raises(igd.ActionRefused) as caught:
        igd.answer("AddPortMapping", 500, fault)
    assert caught.value.error == igd.CONFLICT


def test_golden_words_of_a_search_and_an_action() -> None:
    assert igd.search("239.255.255.250", igd.DEVICES[0]) == (
        b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
        b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )
    service = igd.Service(igd.CONNECTIONS[1], router_url("/ctl", ROUTER, BASE))
    headers, body = igd.action(service, "DeletePortMapping", {"NewRemoteHost": "<&>", "NewExternalPort": 7})
    assert headers["SOAPAction"] == f'"{igd.CONNECTIONS[1]}#DeletePortMapping"'
    assert b"<NewRemoteHost>&lt;&amp;&gt;</NewRemoteHost><NewExternalPort>7</NewExternalPort>" in body


def test_only_listeners_that_the_router_can_reach_are_mapped() -> None:
    behind = Gateway(ROUTER, "192.168.1.2")
    bound = [Address("udp", host, 1) for host in ("127.0.0.1", "10.0.0.1")] + [
        Address("udp", "0.0.0.0", 2),
        Address("tcp", "192.168.1.2", 3),
        Address("udp", "::", 4),
    ]
    assert [str(one.internal) for one in wanted_ports(bound, behind)] == ["udp://192.168.1.2:2", "tcp://192.168.1.2:3"]
    assert wanted_ports(bound, Gateway("45.1.1.1", "45.1.1.2")) == [], "a public address needs no mapping"
    six = wanted_ports(bound, Gateway("fe80::1%2", "2a00:1450::2"))
    assert [str(one.internal) for one in six] == ["udp://[2a00:1450::2]:4"]
