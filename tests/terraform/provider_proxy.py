"""Stands between Terraform and the AWS provider, for `attached_provider` of running.py:
`python -m tests.terraform.provider_proxy <the provider's executable> <where it works> <where schemas are kept>`.

Each Terraform command starts the provider some five times and reads the schema of its 1500 resource types each time:
that is most of a short command's CPU time. Here it gets the schema of those types only that the repository's Terraform
code and tests name, and provider processes that have been started before; every other call goes to the provider, and
comes back, as it is. Each of Terraform's connections that configures the provider has a process to itself, as without
this; the others share one.

It prints what TF_REATTACH_PROVIDERS is to be, and ends with the process that started it.
"""

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from scripts import paths
from tests.terraform.processes import die_with_the_caller

ADDRESS = "registry.terraform.io/hashicorp/aws"
# Of a schema's message (github.com/hashicorp/terraform/blob/main/docs/plugin-protocol): the maps by a type's name, of
# resources, data sources and ephemeral resources.
TYPES = (2, 3, 8)
# As many processes wait for the next command; each holds some hundred megabytes.
IDLE = 2
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
IN_USE = re.compile(r"\baws_[a-z0-9_]+")


def as_it_is(message: bytes) -> bytes:
    return message


def names_in_use() -> set[str]:
    """Of the resource types and data sources that Terraform may be asked for in a test."""
    folders = (paths.ROOT / "terraform", paths.ROOT / "tests")
    files = (file for folder in folders for file in folder.rglob("*") if file.suffix in (".tf", ".hcl", ".py", ".toml"))
    return {name for file in files for name in IN_USE.findall(file.read_text())}


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """A protobuf message's fields: number, content where it has a length, and the whole field."""
    place = 0

    def number() -> int:
        nonlocal place
        result, shift = 0, 0
        while True:
            byte = message[place]
            place += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while place < len(message):
        start, tag = place, number()
        if tag & 7 not in (0, 2):
            raise ValueError(f"a schema has no fields of wire type {tag & 7}")
        length = number()
        begin = place
        place += length if tag & 7 == 2 else 0
        yield tag >> 3, message[begin:place], message[start:place]


def without_types_but(names: set[str], schema: bytes) -> bytes:
    def is_kept(number: int, content: bytes) -> bool:
        return number not in TYPES or next(fields(content))[1].decode() in names

    return b"".join(field for number, content, field in fields(schema) if is_kept(number, content))


class Provider:
    """A process of the provider."""

    def __init__(self, process: asyncio.subprocess.Process, attach: dict[str, Any]) -> None:
        self.attach = attach
        self._process = process
        self._channel = grpc.aio.insecure_channel(f"unix:{attach['Addr']['String']}", options=UNLIMITED)

    async def call(self, method: str, request: bytes) -> bytes:
        answer: bytes = await self._channel.unary_unary(method, as_it_is, as_it_is)(request)
        return answer

    async def end(self) -> None:
        await self._channel.close()
        self._process.kill()
        await self._process.wait()


async def start_provider(program: str, folder: str) -> Provider:
    process = await asyncio.create_subprocess_exec(
        program,
        "-debug",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=die_with_the_caller,
    )
    assert process.stdout
    async for line in process.stdout:
        if address := re.search(r"TF_REATTACH_PROVIDERS='(.+)'", line.decode()):
            (attach,) = json.loads(address[1]).values()
            return Provider(process, attach)
    raise AssertionError("the provider did not start")


class Proxy(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, start: Callable[[], Awaitable[Provider]], first: Provider, schema_file: Path) -> None:
        self._start = start
        self._unconfigured = first
        self._idle: list[Provider] = []
        self._configured: dict[str, Provider] = {}  # by Terraform's connection
        self._schema = asyncio.Lock()
        self._schema_file = schema_file

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method == "/plugin.GRPCBroker/StartStream":
            return grpc.stream_stream_rpc_method_handler(self._connection, as_it_is, as_it_is)
        if not details.method.startswith("/tfplugin"):
            return None
        return grpc.unary_unary_rpc_method_handler(self._call(details.method), as_it_is, as_it_is)

    async def _connection(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """A stream that is open as long as the connection is."""
        try:
            async for _ in requests:
                yield b""
            await asyncio.Event().wait()
        finally:
            if provider := self._configured.pop(context.peer(), None):
                if len(self._idle) < IDLE:
                    self._idle.append(provider)
                else:
                    await provider.end()

    def _call(self, method: str) -> Callable[[bytes, Any], Any]:
        async def call(request: bytes, context: Any) -> bytes:
            if method.endswith(("/GetSchema", "/GetProviderSchema")):
                async with self._schema:
                    return await self._schema_of(method, request)
            connection = context.peer()
            if method.endswith(("/Configure", "/ConfigureProvider")) and connection not in self._configured:
                self._configured[connection] = self._idle.pop() if self._idle else await self._start()
            try:
                return await self._configured.get(connection, self._unconfigured).call(method, request)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details())
                raise

        return call

    async def _schema_of(self, method: str, request: bytes) -> bytes:
        if not self._schema_file.exists():
            whole = await self._unconfigured.call(method, request)
            unfinished = self._schema_file.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(without_types_but(names_in_use(), whole))
            unfinished.rename(self._schema_file)
        return self._schema_file.read_bytes()


async def main(program: str, folder: str, schemas: Path) -> None:
    first = await start_provider(program, folder)
    of = hashlib.sha256("\n".join([program, *sorted(names_in_use())]).encode()).hexdigest()
    server = grpc.aio.server(options=UNLIMITED)
    proxy = Proxy(lambda: start_provider(program, folder), first, schemas / f"{of}.schema")
    server.add_generic_rpc_handlers([proxy])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # "Test": Terraform leaves the process alone when it has done with it.
    place = {"Pid": os.getpid(), "Test": True, "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"}}
    print(json.dumps({ADDRESS: first.attach | place}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
