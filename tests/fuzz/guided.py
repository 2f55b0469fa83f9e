"""Messages grown towards code that none has reached yet: ``cd tests && python -m fuzz.guided [CORPUS] [-runs=N]``.

Takes libFuzzer's arguments. A process of its own, because every branch of what it imports reports to the fuzzer.
"""

import sys

import atheris

with atheris.instrument_imports(
    include=[
        "vosd.sip",
        "vosd.b2bua.identity",
        "vosd.engine.registration.authentication",
        "vosd.callcontrol.invite_numbers",
        "vosd.sdp",
    ]
):
    from .target import Target


def main() -> None:
    """Fuzz until libFuzzer's limits are reached; what breaks something is printed and ends the process with 77."""
    atheris.Setup(sys.argv, Target(seed=1).take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
