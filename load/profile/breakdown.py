#!/usr/bin/env python3
"""Where the service's CPU goes, by what a request is made of.

    DOTNET_PerfMapEnabled=1 DOTNET_EnableWriteXorExecute=0 SignSvc__AllowProcessDumps=true dotnet SignSvc.dll
    perf record -F 1999 -g -p PID -o perf.data -- sleep 10          # while something asks for tokens
    perf script -i perf.data -F comm,tid,ip,sym,dso | load/profile/breakdown.py

Each sample counts once, for the first line below that one of its frames fits; within a line the frame nearest to the
processor decides. System calls are told apart by what makes them (nothing else writes files). libcrypto keeps no frame pointers, so all of it counts as cryptography: signature, hashes, verification.
"""
import collections
import re
import sys

# What owns a sample wherever it stands in the stack.
WHOLE_STACK = [
    ("audit: record, chain, SQLite, flush", r"SignSvc\.Storage|Microsoft\.Data\.Sqlite|SQLitePCL|libe_sqlite3|Audit\.(AuditEntry|AuditIndex|AuditChain|SegmentAssembly)"),
    ("audit: record, chain, SQLite, flush", r"sys_(fsync|fdatasync|pwrite64|pread64|fcntl)"),
    ("sockets", r"sys_(sendto|sendmsg|recvfrom|recvmsg|epoll_wait)"),
    ("cryptography: sign, hash", r"libcrypto|System\.Security\.Cryptography"),
]
# What owns the frame nearest to the processor. The audit log is here and not above: under it runs also what its callers go on
# with when their record is durable, the whole of the answer.
NEAREST = [
    ("audit: record, chain, SQLite, flush", r"SignSvc\.Signing\.Audit"),
    ("JSON: read the request, write the answer", r"System\.Text\.Json|Http\.Json|System\.Text\.Encodings"),
    ("authentication", r"SignSvc\.Access\."),
    ("policy", r"SignSvc\.Signing\.Access"),
    ("token: settle, write; the one path", r"SignSvc\.Signing\."),
    ("telemetry", r"OpenTelemetry|SignSvc\.Telemetry|System\.Diagnostics\."),
    ("sockets", r"System\.Net\.Sockets|Transport\.Sockets|libSystem\.Native"),
    ("HTTP: Kestrel, routing, endpoints, middleware", r"Microsoft\.AspNetCore|SignSvc\.|Microsoft\.Extensions|System\.IO\.Pipelines"),
    ("thread pool, tasks, timers", r"System\.Threading"),
    ("runtime: GC, JIT, type checks", r"libcoreclr|libclrjit|libclrgc|stub "),
    ("kernel: scheduling, interrupts", r"\[kernel|\[k\]"),
]


def owner(frames):
    text = "\n".join(frames)
    for name, pattern in WHOLE_STACK:
        if re.search(pattern, text):
            return name
    for frame in frames:
        for name, pattern in NEAREST[:-2]:
            if re.search(pattern, frame):
                return name
    for name, pattern in NEAREST[-2:]:
        if re.search(pattern, text):
            return name
    return "other"


def samples(lines):
    frames = []
    for line in lines:
        if not line.strip():
            if frames:
                yield frames
            frames = []
        elif line[0].isspace():
            frames.append(line)
    if frames:
        yield frames


counts = collections.Counter(owner(s) for s in samples(sys.stdin))
total = sum(counts.values())
print("| part | share |\n|---|---|")
for name, count in counts.most_common():
    print(f"| {name} | {100 * count / total:.1f} % |")
print(f"\n{total} samples.")
