"""`python -m bench.peers astm|hl7 PORT`: the receivers that others have written, to be measured beside ours.

python-astm decodes every frame and hands the records to methods that do nothing; hl7.mllp parses every message and
answers with its own acknowledgement. Neither stores anything.
"""

from __future__ import annotations

import asyncio
import logging
import sys


def astm(port: int) -> None:
    """python-astm's server (the port astm-2025==0.8.1), its records taken and dropped."""
    from astm.server import BaseRecordsDispatcher, Server

    class Taken(BaseRecordsDispatcher):
        def _default_handler(self, record: object) -> None:
            """A record is taken, and that is all."""

    logging.disable(logging.CRITICAL)
    Server(host="127.0.0.1", port=port, dispatcher=Taken, timeout=60).serve_forever()


def mllp(port: int) -> None:
    """hl7.mllp's server on uvloop; every message is parsed."""
    import uvloop
    from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

    async def handle(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        async with await start_hl7_server(handle, host="127.0.0.1", port=port, encoding="utf-8") as server:
            await server.serve_forever()

    uvloop.run(serve())


if __name__ == "__main__":
    {"astm": astm, "hl7": mllp}[sys.argv[1]](int(sys.argv[2]))
