"""The log of a process of the API that carries out a job."""

import json

import msgspec

from vosd.admin.office.jobs import JobKind
from vosd.api import job_process
from vosd.api.job import JobOpening, JobOutcome
from vosd.processes.channel import received, send
from vosd.processes.child import ended, started


async def test_a_fault_of_the_program_in_a_job_is_in_the_log_of_the_switch(capfd):
    opening = JobOpening("vosd.yaml", 7, 1, JobKind.CDR_EXPORT, "", "no order", None, "")
    child = await started(job_process.__name__)
    try:
        send(child.writer, msgspec.msgpack.encode(opening))
        outcome = msgspec.msgpack.decode(await received(child.reader), type=JobOutcome)
    finally:
        await ended(child)
    assert "its log has it" in outcome.problem
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["event"], line["level"], line["job"]) == ("job_failed", "error", 7)
    assert "DecodeError" in line["exception"]
