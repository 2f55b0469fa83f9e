"""``vosd trace``: follow new calls, as ladders and as a capture file."""

from collections.abc import Iterable, Iterator
from contextlib import aclosing, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from vosd.cli import output
from vosd.cli.arguments import WholeNumber
from vosd.cli.command import Invocation, OperationError, Verb, json_verb
from vosd.cli.office import principal
from vosd.processes import loops
from vosd.processes.whole_file import open_growing
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from vosd.control.traces import FollowCalls, TraceUpdate
    from vosd.obs.traced import TracedCall, TracedMessage

CAPTURE = click.Path(path_type=Path, dir_okay=False)


class Capture:
    """A capture file that grows while calls are followed, or none."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def add(self, messages: Iterable["TracedMessage"]) -> None:
        """Write messages; they can be read from the file at once."""
        from vosd.obs.pcap import packet

        if self._file is not None:
            self._file.writelines(map(packet, messages))
            self._file.flush()


@contextmanager
def capture(path: Path | None) -> Iterator[Capture]:
    """Create a capture file, readable by its owner only: it holds telephone numbers.

    Raises:
        OperationError: it cannot be written.
    """
    from vosd.obs.pcap import FILE_HEADER

    if path is None:
        yield Capture(None)
        return
    try:
        file = open_growing(path)
    except OSError as error:
        raise OperationError(f"{path} cannot be written: {error.strerror}") from error
    with closing(file):
        file.write(FILE_HEADER)
        yield Capture(file)


@click.command(cls=Verb)
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--gateway", metavar="NAME", help="The mapping or a routing one.")
@click.option("--address", metavar="ADDRESS", help="Of the caller's side or of a vendor, with or without port.")
@click.option("--sip-call-id", metavar="ID", help="Call-ID of a leg.")
@click.option(
    "--seconds", type=WholeNumber(1, 86_400), default=600, show_default=True, metavar="S", help="Then it is over."
)
@click.option("--pcap", "pcap", type=CAPTURE, metavar="FILE", help="Write a capture for Wireshark, too.")
@json_verb
def trace(invocation: Invocation, /, seconds: int, pcap: Path | None, **sought: str | None) -> None:
    """Follow new calls that match every option given, and draw each when it has ended; Ctrl-C draws the rest.

    Digest credentials and media keys are blanked.
    """
    from vosd.control.traces import CallSought, FollowCalls

    with capture(pcap) as file:
        screen = _Screen(file, seconds)
        try:
            loops.run(_follow(invocation, FollowCalls(CallSought(**sought), seconds), screen))
        except KeyboardInterrupt:
            output.remark("interrupted")
    screen.finish()


async def _follow(invocation: Invocation, order: "FollowCalls", screen: "_Screen") -> None:
    from vosd.admin.office.calls import follow_new_calls

    async with (
        office_of(invocation, with_database=False) as office,
        aclosing(follow_new_calls(office, principal(), order)) as updates,
    ):
        async for update in updates:
            screen.take(update)


class _Screen:
    """Output of the followed calls: drawn one by one, or collected for the one document at the end."""

    def __init__(self, file: Capture, seconds: int) -> None:
        from vosd.admin.tracing import FollowedCalls

        self._greeting = f"following new calls for {seconds} s; Ctrl-C ends it"
        self._followed = FollowedCalls()
        self._file = file
        self._kept: list[TracedCall] = []

    def take(self, update: "TraceUpdate") -> None:
        """Show a report."""
        from vosd.obs.ladder import title

        if self._greeting:
            output.remark(self._greeting)
            self._greeting = ""
        if update.unaudited:
            output.remark(f"the audit has no line of it: {update.unaudited}")
        before = set(self._followed.going_on)
        complete = self._followed.take(update)
        for call in (*self._followed.going_on.values(), *complete):
            if call.call_id not in before:
                output.remark(title(call))
        for each in update.calls:
            self._file.add(each.messages)
        for call in complete:
            self._show(call)

    def finish(self) -> None:
        """Show the calls that still go on, and the remarks."""
        for call in self._followed.going_on.values():
            self._show(call)
        if output.wants_json():
            from vosd.admin.tracing import call_json

            output.document([call_json(call) for call in self._kept])
        if self._followed.left_out:
            output.remark(f"{self._followed.left_out} more calls fitted: too many at a time, say more of what you want")

    def _show(self, call: "TracedCall") -> None:
        if output.wants_json():
            self._kept.append(call)
        else:
            ladder(call)


def ladder(call: "TracedCall") -> None:
    """Print the ladder of a call, and an empty line."""
    from vosd.obs.ladder import draw

    for line in draw(call):
        output.line(line)
    output.line("")
