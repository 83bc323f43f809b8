"""The floor for a receiver in Python: reads C-STORE fragments, writes them, fsyncs file and folder, answers.

    python -m bench.bare PORT FOLDER

No checks, no limits, no journal, no digest, no names by UID: what a receiver that keeps its promise to the
sender can't leave out, and nothing else.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
from pathlib import Path

from dicom_node.receive import command
from dicom_node.receive.negotiation import negotiate, read_request
from dicom_node.receive.pdu import COMMAND, HEADER, LAST, MAX_PDU, RELEASE_RP, PduType, command_pdu

_names = itertools.count()


class _Connection:
    """One association, from its request to its release."""

    def __init__(self, sock: socket.socket, folder: Path) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock, self._folder = sock, folder
        self._folder_fd = os.open(folder, os.O_RDONLY)
        self._fd = -1
        self._buffer = bytearray(MAX_PDU)
        self._view = memoryview(self._buffer)
        self._request = b""

    def serve(self) -> None:
        """Until the peer releases, aborts or goes."""
        try:
            while self._pdu():
                pass
        except (EOFError, OSError):
            pass
        finally:
            self._sock.close()
            os.close(self._folder_fd)

    def _pdu(self) -> bool:
        head = self._read(10)
        kind, length = HEADER.unpack_from(head)
        if kind == PduType.ASSOCIATE_RQ:
            body = bytes(head) + bytes(self._read(length - 4))
            may = frozenset(("store", "echo"))
            self._sock.sendall(negotiate(read_request(body), may, False).answer)
        elif kind == PduType.P_DATA_TF:
            self._values(length, int.from_bytes(head[6:], "big"))
        else:
            self._sock.sendall(RELEASE_RP)
            return False
        return True

    def _values(self, left: int, size: int) -> None:
        while True:
            self._value(self._read(size))
            left -= 4 + size
            if not left:
                return
            size = int.from_bytes(self._read(4), "big")

    def _value(self, value: memoryview) -> None:
        context_id, control = value[0], value[1]
        if control & COMMAND:
            self._request = bytes(value[2:])
            path = self._folder / f"{os.getpid()}.{next(_names)}"
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            return
        os.write(self._fd, value[2:])
        if control & LAST:
            os.fsync(self._fd)
            os.fsync(self._folder_fd)
            os.close(self._fd)
            self._sock.sendall(command_pdu(context_id, command.answer(command.decode(self._request), 0)))

    def _read(self, size: int) -> memoryview:
        view = rest = self._view[:size]
        while rest:
            got = self._sock.recv_into(rest, flags=socket.MSG_WAITALL)
            if not got:
                raise EOFError
            rest = rest[got:]
        return view


def main(port: int, folder: Path) -> None:
    """Serves for ever; several processes may share the port."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
        while True:
            sock, _address = listener.accept()
            threading.Thread(target=_Connection(sock, folder).serve, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
