"""The little of HTTP that is needed, against raw bytes from the other side."""

import _socket
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from common import http_connection
from common.bounded_connection import BoundedConnection
from common.http_connection import Connection


class RawServer:
    """Sends fixed bytes for each request it reads, one list of answers a connection."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received: list[bytes] = []
        self._connections = connections
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        for answers in self._connections:
            connected, _ = self.listener.accept()
            with connected:
                for answer in answers:
                    self.received.append(connected.recv(65536))
                    connected.sendall(answer)

    @contextmanager
    def running(self) -> Iterator["RawServer"]:
        self._thread.start()
        with self.listener:
            yield self
        self._thread.join(5)


def ask(connection: Connection, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    connection.open(2)
    return connection.exchange("POST", {"a": "b"}, body, 2)


def test_a_request_is_one_send_and_the_answer_is_read_to_its_length() -> None:
    with RawServer([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y:  z \r\n\r\nhello"]).running() as server:
        assert ask(Connection(server.url), b"{}") == (200, {"content-length": "5", "x-y": "z"}, b"hello")
    host = server.url.removeprefix("http://")
    assert server.received == [f"POST / HTTP/1.1\r\nhost: {host}\r\na: b\r\ncontent-length: 2\r\n\r\n{{}}".encode()]


def test_a_connection_is_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
    with RawServer([answer, answer]).running() as server:
        connection = Connection(server.url)
        assert ask(connection)[2] == ask(connection)[2] == b"x"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nConnection: close\r\n\r\nx",
        b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nx",
    ],
)
def test_a_connection_is_left_when_it_ends(answer: bytes) -> None:
    with RawServer([answer], [answer]).running() as server:
        connection = Connection(server.url)
        assert ask(connection)[2] == ask(connection)[2] == b"x"


def test_chunks_and_interim_answers_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: 1\r\n\r\n"
    with RawServer([b"HTTP/1.1 100 Continue\r\n\r\n" + chunked, chunked]).running() as server:
        connection = Connection(server.url)
        assert ask(connection)[2] == ask(connection)[2] == b"abcde"


def test_an_answer_without_a_body() -> None:
    with RawServer([b"HTTP/1.1 204 No Content\r\n\r\n"]).running() as server:
        assert ask(Connection(server.url)) == (204, {}, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nabcd\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_a_network_error_and_the_next_request_gets_a_new_connection(answer: bytes) -> None:
    with RawServer([answer], [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"]).running() as server:
        connection = Connection(server.url)
        with pytest.raises(OSError):  # noqa: PT011 - any network error will do
            ask(connection)
        assert ask(connection)[2] == b"x"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_001])
def test_an_answer_of_any_size_in_pieces_of_any_size(size: int) -> None:
    body = b"0123456789" * (size // 10 + 1)
    head = b"HTTP/1.1 200 OK\r\nx: y\r\n"
    length = head + b"content-length: %d\r\n\r\n" % size + body[:size]
    chunks = head + b"transfer-encoding: chunked\r\n\r\n"
    for begin in range(0, size, 70_000):
        part = body[begin : min(begin + 70_000, size)]
        chunks += b"%x\r\n%s\r\n" % (len(part), part)
    chunks += b"0\r\n\r\n"
    with RawServer([length, chunks]).running() as server:
        connection = Connection(server.url)
        for _ in range(2):
            assert ask(connection)[2] == body[:size]


def test_an_answer_that_comes_byte_by_byte() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"

    class Slow(RawServer):
        def _serve(self) -> None:
            connected, _ = self.listener.accept()
            with connected:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.recv(65536)
                for one in answer:
                    connected.sendall(bytes([one]))
                    time.sleep(0.001)

    with Slow().running() as server:
        assert ask(Connection(server.url)) == (200, {"content-length": "3"}, b"abc")


@pytest.mark.parametrize(
    "rest", [b"content-length: 99999999999\r\n\r\n", b"transfer-encoding: chunked\r\n\r\nfffffff\r\n"]
)
def test_a_length_beyond_what_an_answer_may_have_is_refused_before_it_is_waited_for(rest: bytes) -> None:
    server = RawServer([b"HTTP/1.1 200 OK\r\n" + rest])
    with server.running(), pytest.raises(ConnectionError, match="longer than it may be"):
        BoundedConnection(server.url, 1000).call({}, b"", 60)


def test_a_connection_that_the_other_side_closed_while_idle_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_TRUSTED_IDLE_SECONDS", 0.0)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
    with RawServer([answer], [answer]).running() as server:
        connection = Connection(server.url)
        ask(connection)
        deadline = time.monotonic() + 60
        while http_connection._is_silent(connection._socket):  # type: ignore[arg-type]
            assert time.monotonic() < deadline
        assert ask(connection)[2] == b"x"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError):  # noqa: PT011 - any network error will do
        Connection(f"http://127.0.0.1:{port}").open(1)


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "authority"),
    [
        ("https://a.example", "a.example", 443, True, "a.example"),
        ("https://x:443/", "x", 443, True, "x"),
        ("http://127.0.0.1:4566", "127.0.0.1", 4566, False, "127.0.0.1:4566"),
        ("http://[::1]:8000/", "::1", 8000, False, "[::1]:8000"),
        ("http://[::1]", "::1", 80, False, "[::1]"),
    ],
)  # fmt: skip
def test_addresses(url: str, host: str, port: int, secure: bool, authority: str) -> None:
    made = Connection(url)
    assert (made.host, made.port, made.secure, made.authority) == (host, port, secure, authority)


@pytest.mark.parametrize("url", ["", "x", "ftp://x", "http://", "http://user@x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="https://host:port"):
        Connection(url)


def self_signed(pem: Path, owner: str, name: x509.GeneralName) -> None:
    """Key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )


@contextmanager
def tls_server(pem: Path) -> Iterator[int]:
    """An https server on 127.0.0.1 that answers once a connection; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as connected:
                connected.recv(65536)
                connected.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An https server, and its self-signed certificate."""
    pem = tmp_path / "server.pem"
    self_signed(pem, "127.0.0.1", x509.IPAddress(ip_address("127.0.0.1")))
    with tls_server(pem) as port:
        yield f"https://127.0.0.1:{port}", pem


def test_https_to_a_stranger_is_refused(own_server: tuple[str, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Connection(own_server[0]).open(2)


def test_https_to_a_trusted_server(own_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, pem = own_server
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert ask(Connection(url))[2] == b"x"


AWS_HOST = "dynamodb.eu-north-1.amazonaws.com"
AMAZON, OTHER = "Amazon Root CA 1", "Authority of a Network"


@pytest.fixture
def names_lead_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(host: object, port: int, *_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(_socket, "getaddrinfo", found)


@pytest.mark.usefixtures("names_lead_here")
@pytest.mark.parametrize(
    ("server", "trusted", "in_use"),
    [
        (AMAZON, [AMAZON, OTHER], 1),
        (OTHER, [AMAZON, OTHER], 2),
        (OTHER, [OTHER], 1),
        (OTHER, [AMAZON], None),
        (AMAZON, [OTHER], None),
    ],
)
def test_of_an_endpoint_of_aws_its_own_roots_are_loaded_and_all_where_they_do_not_do(
    server: str, trusted: list[str], in_use: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (AMAZON, OTHER):
        self_signed(tmp_path / owner, owner, x509.DNSName(AWS_HOST))
    bundle = tmp_path / "bundle.pem"
    certificates = [(tmp_path / owner).read_text().partition("-----BEGIN CERTIFICATE") for owner in trusted]
    bundle.write_text("".join(f"# of somebody\n{begin}{rest}" for _, begin, rest in certificates))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with tls_server(tmp_path / server) as port:
        connection = Connection(f"https://{AWS_HOST}:{port}")
        if in_use is None:
            with pytest.raises(ssl.SSLCertVerificationError):
                connection.open(2)
            return
        for _ in range(2):
            assert ask(connection)[2] == b"x"
            connection.close()
    assert connection._context is not None
    assert connection._context.cert_store_stats()["x509"] == in_use


@pytest.mark.usefixtures("names_lead_here")
def test_a_certificate_of_another_endpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = tmp_path / "server.pem"
    self_signed(pem, AMAZON, x509.DNSName("sqs.eu-north-1.amazonaws.com"))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with tls_server(pem) as port, pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        Connection(f"https://{AWS_HOST}:{port}").open(2)
