"""CPython's own http.client. Takes a task as a line of JSON, like worker.mjs."""

import http.client
import json
import os
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

PARALLEL = 100
POSTED = bytes(1024)


def check(moved, size):
    if moved != size:
        raise ValueError(f"Moved {moved} bytes, not {size}")


def pieces(size, piece):
    data = bytes(piece)
    for left in range(size, 0, -piece):
        yield data[:left]


def read_pieces(response, config):
    total = 0
    while data := response.read(65536):
        total += len(data)
    return total


def readinto(response, config):
    buffer = bytearray(65536)
    total = 0
    while count := response.readinto(buffer):
        total += count
    return total


def to_file(response, config):
    with open(config["download"], "wb") as file:
        while data := response.read(65536):
            file.write(data)
        return file.tell()


def readline(response, config):
    total = 0
    while line := response.readline():
        total += len(line)
    return total


READ = {
    "read()": lambda response, config: len(response.read()),
    "read(65536)": read_pieces,
    "readinto": readinto,
    "pipeTo file": to_file,
    "readline": readline,
    "lines()": lambda response, config: sum(map(len, response)),
}

BODY = {
    "bytes": lambda size, config: bytes(size),
    "64 KiB pieces": lambda size, config: pieces(size, 65536),
    "1 KiB pieces": lambda size, config: pieces(size, 1024),
    "file": lambda size, config: open(config["upload"], "rb"),
}


class Client:
    def __init__(self, config):
        self.config = config
        self.context = ssl.create_default_context(cafile=config["caFile"])
        self.kept = {}
        self.connections = [self.open(False) for _ in range(PARALLEL)]
        self.threads = ThreadPoolExecutor(PARALLEL)

    def open(self, tls):
        config = self.config
        if tls:
            return http.client.HTTPSConnection(
                config["host"], config["tlsPort"], context=self.context)
        return http.client.HTTPConnection(config["host"], config["port"])

    def keep(self, tls=False):
        if tls not in self.kept:
            self.kept[tls] = self.open(tls)
        return self.kept[tls]

    def exchange(self, conn, path, size):
        conn.request("GET", path)
        check(len(conn.getresponse().read()), size)

    def get(self, task):
        conn = self.keep(task["tls"])
        for _ in range(task["count"]):
            self.exchange(conn, task["path"], task["size"])

    def connect(self, task):
        for _ in range(task["count"]):
            conn = self.open(task["tls"])
            self.exchange(conn, task["path"], task["size"])
            conn.close()

    def post(self, task):
        conn = self.keep()
        for _ in range(task["count"]):
            conn.request("POST", "/", POSTED)
            check(int(conn.getresponse().read()), len(POSTED))

    def parallel(self, task):
        for _ in range(task["count"]):
            list(self.threads.map(
                lambda conn: self.exchange(conn, task["path"], task["size"]), self.connections))

    def download(self, task):
        conn = self.keep()
        conn.request("GET", task["path"])
        check(READ[task["way"]](conn.getresponse(), self.config), task["size"])

    def upload(self, task):
        conn = self.keep()
        body = BODY[task["way"]](task["size"], self.config)
        conn.request("PUT", "/", body)
        check(int(conn.getresponse().read()), task["size"])
        if hasattr(body, "read"):
            body.close()


def measure(job, task):
    cpu = time.process_time()
    start = time.perf_counter()
    job(task)
    wall = time.perf_counter() - start
    return {"wall": wall * 1000, "cpu": (time.process_time() - cpu) * 1000}


def main():
    client = Client(json.loads(sys.argv[1]))
    jobs = ["get", "connect", "post", "parallel", "download", "upload"]
    print(json.dumps({"jobs": jobs}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = measure(getattr(client, task["job"]), task)
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
    os._exit(0)


main()
